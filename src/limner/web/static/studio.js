// Small behaviours of every page. Pages work without them.

/** Show a message for a few seconds; one that is shown already stays a little longer. */
export function toast(text) {
  [...document.querySelectorAll(".toast")].find((each) => each.textContent === text)?.remove();
  const line = document.createElement("p");
  line.className = "toast";
  line.textContent = text;
  document.getElementById("toasts").append(line);
  setTimeout(() => line.remove(), 6000);
}

// Other scripts show a message by an event, since their URLs hold hashes and they cannot import this one.
document.addEventListener("limner:toast", (event) => toast(event.detail));

// Keys of the navigation: G, then the first letter of a page.
let waiting = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
  if (waiting) {
    waiting = false;
    const link = [...document.querySelectorAll("nav a")].find((a) => a.textContent.trim().toLowerCase().startsWith(event.key));
    link?.click();
  } else if (event.key === "g") {
    waiting = true;
    setTimeout(() => { waiting = false; }, 1500);
  }
});

// A failed request of htmx shows why, and leaves the page as it is.
document.addEventListener("htmx:error", () => toast("The server does not answer. Nothing is lost; try again."));
document.addEventListener("htmx:sse:error", () => toast("The server does not answer. This page goes on by itself once it does."));
