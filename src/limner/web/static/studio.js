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

// While a page that follows running work has no answer, a bar says so, and the progress that it shows is grey.
const away = (missing) => {
  document.documentElement.classList.toggle("unanswered", missing);
  document.getElementById("away").textContent = missing ? "The server does not answer. Nothing is lost: this page goes on by itself once it does." : "";
};
const follows = () => document.querySelector("[hx-trigger*='every']") !== null;
document.addEventListener("htmx:error", () => follows() ? away(true) : toast("The server does not answer. Nothing is lost; try again."));
document.addEventListener("htmx:sse:error", (event) => {
  if (event.detail.status === 401) location.reload(); // the key ended: the server leads to the sign-in
  else away(true);
});
for (const answered of ["htmx:after:request", "htmx:sse:after:connection"]) document.addEventListener(answered, () => away(false));
