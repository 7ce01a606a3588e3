// The words that are offered for a part of a prompt: a press puts one into the field of the part.

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-for]");
  if (!button) return;
  const field = document.getElementById(button.dataset.for);
  field.value = button.value;
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
});
