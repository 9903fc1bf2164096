// Small words for the document. Text goes in by textContent, never as markup.
export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

const SVG = 'http://www.w3.org/2000/svg';

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, '');
    else if (value !== null && value !== false) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export function icon(name, size = 16) {
  const made = document.createElementNS(SVG, 'svg');
  const use = document.createElementNS(SVG, 'use');
  made.setAttribute('width', size);
  made.setAttribute('height', size);
  made.setAttribute('aria-hidden', 'true');
  use.setAttribute('href', `#i-${name}`);
  made.append(use);
  return made;
}

export function path(d, className = '') {
  const made = document.createElementNS(SVG, 'path');
  made.setAttribute('d', d);
  if (className) made.setAttribute('class', className);
  return made;
}

// Only what is different is written, so that nothing flashes and no selection is lost.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function setCookie(name, value) {
  const age = value ? 365 * 86400 : 0;
  document.cookie = `${name}=${value}; path=/; max-age=${age}; samesite=lax`;
}
