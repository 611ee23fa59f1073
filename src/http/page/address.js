// The address of a view: which symbols, as what, and how long. What is shown first needs no word in it.

const RANGES = [60, 240, 1440]; // windows, as in index.html

/** What `hash` names: {symbols, mode, range}; `most` symbols at most, each once. */
export function readAddress(hash, most) {
  const named = new URLSearchParams(hash.replace(/^#/, "")), range = Number(named.get("range"));
  const symbols = [...new Set(named.getAll("s"))].filter((symbol) => symbol !== "").slice(0, most);
  return { symbols, mode: named.get("shape") === "candles" ? "candles" : "line",
    range: RANGES.includes(range) ? range : RANGES[0] };
}

/** The hash of a view. */
export function writeAddress({ symbols, mode, range }) {
  const words = symbols.map((symbol) => `s=${encodeURIComponent(symbol)}`);
  if (mode !== "line") words.push(`shape=${mode}`);
  if (range !== RANGES[0]) words.push(`range=${range}`);
  return `#${words.join("&")}`;
}
