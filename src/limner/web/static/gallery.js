// Keys of elements that name one, such as stars and arrows on the page of an image; and buttons that copy texts.

function say(text) {
  const line = document.createElement("p");
  line.className = "toast";
  line.textContent = text;
  document.getElementById("toasts").append(line);
  setTimeout(() => line.remove(), 6000);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  if (event.target.closest("pre") && event.key.startsWith("Arrow")) return;
  const found = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!found) return;
  event.preventDefault();
  if (found.matches("input")) found.focus();
  else found.click();
});

async function copy(text, block) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return say("Copied.");
  }
  getSelection().selectAllChildren(block); // plain http on another machine has no clipboard
  say("The text is selected. Copy it with Ctrl+C.");
}

for (const block of document.querySelectorAll(".copyable")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", () => copy(block.textContent, block));
  block.after(button);
}

// A menu closes when something else is chosen.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" ? document.querySelector(".menu[open]") : null;
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// An erasure can be taken back for some seconds only.
for (const notice of document.querySelectorAll(".undoing")) {
  const seconds = Number(notice.dataset.seconds);
  notice.style.setProperty("--seconds", `${seconds}s`);
  setTimeout(() => notice.remove(), 1000 * seconds);
}
