// The few ways in which this page changes its document. All text goes through `textContent`: whatever a symbol or a
// record holds, it is shown and never read as markup. What has not changed is not touched, so that nothing is laid out
// for it.

/** @type {(id: string) => any} */
export const find = (id) => document.getElementById(id);

/** Sets the text of `element`. */
export function text(element, value) {
  const next = String(value);
  if (element.textContent !== next) element.textContent = next;
}

/** Sets the attribute `data-name` of `element`. */
export function data(element, name, value) {
  const next = String(value);
  if (element.dataset[name] !== next) element.dataset[name] = next;
}

/** Sets an attribute of `element`. */
export function attribute(element, name, value) {
  const next = String(value);
  if (element.getAttribute(name) !== next) element.setAttribute(name, next);
}

/** Sets one property of the style of `element` (through the CSSOM, which the Content-Security-Policy leaves free). */
export function style(element, name, value) {
  if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
}

/** A new element with a class and children (elements, or text). */
export function make(tag, name, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

/**
 * Makes `parent` have one child for each item: old ones are used again, `create()` makes more, `update(child, item)`
 * fills.
 */
export function each(parent, items, create, update) {
  while (parent.childElementCount > items.length) parent.lastElementChild.remove();
  while (parent.childElementCount < items.length) parent.append(create());
  items.forEach((item, i) => update(parent.children[i], item, i));
}

/**
 * A group of radio buttons: arrows move, `on(value)` is told of a choice. Gives {pick, show}: functions that choose the
 * button with a value, and that only show it as chosen.
 */
export function choice(group, on) {
  const buttons = [...group.children];
  const check = (chosen) => buttons.forEach((button, i) => {
    attribute(button, "aria-checked", button === chosen);
    button.tabIndex = button === chosen || (chosen === undefined && i === 0) ? 0 : -1;
  });
  const pick = (button) => {
    check(button);
    on(button.dataset.value);
  };
  buttons.forEach((button, i) => {
    button.addEventListener("click", () => pick(button));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      let at = i;
      do at = (at + step + buttons.length) % buttons.length; while (buttons[at].disabled);
      const next = buttons[at];
      next.focus();
      pick(next);
    });
  });
  check(buttons[0]);
  const of = (value) => buttons.find((button) => button.dataset.value === String(value));
  return { pick: (value) => pick(of(value)), show: (value) => check(of(value)) };
}
