// How figures get into the page: nodes are kept and changed in place, so that focus, an open
// <details> and a selection outlive the next second. Text goes in as text only.

export const byId = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute, or takes it away for null. */
export function attribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** A figure, or a dash that says why there is none. */
export function figure(node, text, why) {
  const isMissing = text === null || text === undefined;
  say(node, isMissing ? '–' : text);
  // A dash alone is read out as nothing.
  attribute(node, 'role', isMissing ? 'img' : null);
  attribute(node, 'aria-label', isMissing ? why : null);
  attribute(node, 'title', isMissing ? why : null);
}

/** A sentence where there is nothing to list, or null where there is. */
export function emptiness(node, sentence) {
  node.hidden = sentence === null;
  say(node, sentence ?? '');
}

const kept = new WeakMap();

/**
 * Shows items as children of `parent`, one per key. `create` gives the parts of a new child, of which
 * `root` is the child itself; `update` fills them.
 */
export function keyed(parent, items, keyOf, create, update) {
  const before = kept.get(parent) ?? new Map();
  const now = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (now.has(key)) continue;
    const parts = before.get(key) ?? create(item);
    update(parts, item);
    now.set(key, parts);
  }
  for (const [key, { root }] of before) if (!now.has(key)) root.remove();
  let place = parent.firstElementChild;
  for (const { root } of now.values()) {
    if (root === place) place = place.nextElementSibling;
    else parent.insertBefore(root, place);
  }
  kept.set(parent, now);
}

/** Whether somebody is reading there: what they read must not move away. */
export function isHeld(node) {
  const selection = getSelection();
  const isSelected = selection && !selection.isCollapsed && node.contains(selection.anchorNode);
  return isSelected || node.matches(':hover') || node.contains(document.activeElement);
}
