// Shows the page as it is now, every two seconds while somebody can see it. Without this it is what it was when it was opened.
"use strict";

const PERIOD_MS = 2000;

// Whether replacing the page would disturb: somebody types, or has chosen text.
function busy(main) {
  const focused = document.activeElement;
  const typing = main.contains(focused) && /^(INPUT|SELECT|TEXTAREA)$/.test(focused.tagName);
  const selection = document.getSelection();
  return typing || (!selection.isCollapsed && main.contains(selection.anchorNode));
}

// What has the keyboard is found again by its place among its kind.
function place(main, element) {
  if (!main.contains(element)) return null;
  const index = [...main.querySelectorAll(element.tagName)].indexOf(element);
  return { kind: element.tagName, index };
}

async function refresh() {
  const main = document.getElementById("main");
  if (document.hidden || busy(main)) return;
  const response = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("main");
  if (!fresh || busy(main)) return;
  const focused = place(main, document.activeElement);
  const scrolled = [...main.querySelectorAll(".wide")].map((one) => one.scrollLeft);
  const open = [...main.querySelectorAll("details")].map((one) => one.open);
  fresh.querySelectorAll("details").forEach((one, index) => { one.open = open[index] ?? one.open; });
  main.replaceChildren(...fresh.childNodes);
  main.querySelectorAll(".wide").forEach((one, index) => { one.scrollLeft = scrolled[index] ?? one.scrollLeft; });
  if (focused) main.querySelectorAll(focused.kind)[focused.index]?.focus({ preventScroll: true });
}

async function loop() {
  for (;;) {
    await new Promise((wake) => setTimeout(wake, PERIOD_MS));
    // The service may be away for a while; the page stays as it is.
    await refresh().catch(() => {});
  }
}

loop();
