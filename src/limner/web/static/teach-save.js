// Saves what was typed into a form in the last moment before the page is left. Before that, htmx saves it.

const unsaved = new Set();
const formOf = (event) => event.target.closest?.("form[hx-trigger]");

document.addEventListener("input", (event) => { const form = formOf(event); if (form) unsaved.add(form); });
for (const kind of ["htmx:before:request", "submit"]) {
  document.addEventListener(kind, (event) => unsaved.delete(formOf(event)));
}
addEventListener("pagehide", () => {
  for (const form of unsaved) {
    if (form.isConnected) navigator.sendBeacon(form.getAttribute("action"), new URLSearchParams(new FormData(form)));
  }
  unsaved.clear();
});
