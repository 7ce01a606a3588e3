// Keys of a blind comparison: A, B and T press the buttons that show these letters.

let goes = 0; // when G was pressed last, which begins a key of the navigation
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest("input, textarea, select, [contenteditable]")) return;
  const key = event.key.toLowerCase();
  if (key === "g") {
    goes = Date.now();
  } else if (Date.now() - goes < 1500) {
    goes = 0;
  } else if (["a", "b", "t"].includes(key)) {
    document.querySelector(`#vote [data-key="${key}"]`)?.click();
  }
});
