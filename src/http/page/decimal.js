// Decimals as text, added exactly: a sum of volumes must not depend on the order in which a browser adds floats.

/** The text of a decimal as {digits, scale}: digits x 10^-scale. It may have an exponent, as numbers in JavaScript do. */
function parse(text) {
  const found = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text);
  if (!found) throw new RangeError(`no decimal: ${text}`);
  const [, sign, whole, fraction = "", exponent = "0"] = found;
  const scale = fraction.length - Number(exponent), digits = BigInt(`${sign}${whole}${fraction}`);
  return scale < 0 ? { digits: digits * 10n ** BigInt(-scale), scale: 0 } : { digits, scale };
}

/** The sum of decimals (texts, or numbers that stand for their shortest text) as text without needless zeros. */
export function addDecimals(decimals) {
  let total = 0n, scale = 0;
  for (const decimal of decimals) {
    const one = parse(String(decimal));
    if (one.scale > scale) {
      total *= 10n ** BigInt(one.scale - scale);
      scale = one.scale;
    }
    total += one.digits * 10n ** BigInt(scale - one.scale);
  }
  const sign = total < 0n ? "-" : "", digits = String(total < 0n ? -total : total).padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale), fraction = digits.slice(digits.length - scale).replace(/0+$/, "");
  return `${sign}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}
