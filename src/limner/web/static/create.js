// Behaviours of the page Create alone. The form works without them, and create_forms.js comes first.
const form = () => document.getElementById("create");
const ImageField = customElements.get("image-field");

/** A box that hides the settings whose name or help does not hold its text. */
class FilterBox extends HTMLElement {
  connectedCallback() {
    if (this.input) return;
    this.input = this.querySelector("input");
    this.count = document.createElement("p");
    this.count.className = "count";
    this.count.setAttribute("role", "status");
    this.append(this.count);
    this.input.addEventListener("input", () => this.filter());
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault();
      if (event.key === "Escape") { this.input.value = ""; this.filter(); }
    });
  }

  filter() {
    const wanted = this.input.value.trim().toLowerCase();
    const drawer = this.closest("details");
    let shown = 0;
    for (const field of drawer.querySelectorAll(".field")) {
      field.hidden = Boolean(wanted) && !field.textContent.toLowerCase().includes(wanted);
      shown += field.hidden ? 0 : 1;
    }
    for (const group of drawer.querySelectorAll("fieldset")) {
      group.hidden = !group.querySelector(".field:not([hidden])");
    }
    this.count.textContent = wanted ? (shown === 1 ? "1 setting" : `${shown} settings`) : "";
  }
}

/** Buttons that write the trigger words of the chosen subjects into the prompt. */
function offerWords() {
  const line = document.querySelector("[data-words-line]");
  const prompt = document.getElementById("create-prompt");
  if (!line || !prompt) return;
  const words = [...document.querySelectorAll(".chip:has(input[type=checkbox]:checked)")].flatMap((chip) => JSON.parse(chip.dataset.words));
  const missing = [...new Set(words)].filter((word) => !prompt.value.includes(word));
  const key = missing.join("\n");
  if (line.dataset.shown === key && Boolean(key) === line.hasChildNodes()) return;
  line.dataset.shown = key;
  line.replaceChildren();
  if (missing.length) line.append("Add to the prompt: ");
  for (const word of missing) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = word;
    button.addEventListener("click", () => {
      const [start, end] = [prompt.selectionStart ?? prompt.value.length, prompt.selectionEnd ?? prompt.value.length];
      const before = prompt.value.slice(0, start);
      const gap = before && !/\s$/.test(before) ? " " : "";
      prompt.setRangeText(gap + word, start, end, "end");
      prompt.focus();
      prompt.dispatchEvent(new Event("input", { bubbles: true }));
    });
    line.append(button);
  }
}

/** Tab takes a trigger word that is half written. */
function complete(event) {
  const prompt = event.target;
  if (event.key !== "Tab" || event.shiftKey || prompt.id !== "create-prompt" || prompt.selectionStart !== prompt.selectionEnd) return;
  const typed = /(\S+)$/.exec(prompt.value.slice(0, prompt.selectionStart))?.[1];
  if (!typed) return;
  const words = [...document.querySelectorAll(".chip:has(input[type=checkbox]:checked)")].flatMap((chip) => JSON.parse(chip.dataset.words));
  const word = words.find((each) => each.length > typed.length && each.toLowerCase().startsWith(typed.toLowerCase()));
  if (!word) return;
  event.preventDefault();
  prompt.setRangeText(word, prompt.selectionStart - typed.length, prompt.selectionStart, "end");
  prompt.dispatchEvent(new Event("input", { bubbles: true }));
}

/** A prompt that is empty begins with the words of the subject that was chosen. */
function begin(box) {
  const prompt = document.getElementById("create-prompt");
  const [word] = JSON.parse(box.closest(".chip").dataset.words);
  if (!word || prompt.value.trim()) return;
  prompt.value = `a photo of ${word}`;
  prompt.dispatchEvent(new Event("input", { bubbles: true }));
}

async function addAdapter(input) {
  const file = input.files[0];
  const report = (text) => {
    const line = document.getElementById("create-adapter-message");
    line.textContent = text;
    line.hidden = !text;
    form().elements["adapter.refused"].value = text; // which the server refuses too
    document.querySelector(".add-adapter .without").hidden = !text;
  };
  const problem = file && ImageField.tooLarge(form(), file);
  report(problem || "");
  if (!file || problem) { input.value = ""; return; }
  const chosen = [...form().querySelectorAll("input[name=subject]:checked")].map((box) => ["subject", `${box.value}:${form().elements[`weight.${box.value}`].value}`]);
  try {
    const text = await ImageField.send(form().dataset.files, "adapter.file", file, chosen);
    document.getElementById("subjects").outerHTML = text;
    offerWords();
    document.dispatchEvent(new CustomEvent("limner:toast", { detail: "Added. It is chosen for the next image." }));
    document.querySelector(".chip input:checked")?.focus();
  } catch (error) {
    input.value = "";
    report(error.message);
  }
}

/** The file of an adapter that was refused is left out. */
function forgetAdapter(event) {
  const button = event.target.closest?.(".add-adapter .without");
  if (!button) return;
  event.preventDefault();
  form().elements["adapter.refused"].value = "";
  document.getElementById("create-adapter-message").hidden = true;
  button.hidden = true;
}

function showWeights() {
  for (const slider of form().querySelectorAll("input[type=range][name^='weight.']")) {
    slider.parentElement.querySelector("output").value = slider.value;
  }
}

function randomSeed() {
  const seed = document.getElementById("create-seed");
  const box = document.getElementById("create-random");
  if (seed && box) seed.placeholder = box.checked ? "random" : "42";
}

function refresh() {
  if (!form()) return;
  offerWords();
  showWeights();
  randomSeed();
  for (const field of form().querySelectorAll("image-field")) field.showNeeds();
}

// A form that comes back from the server has its drawers closed: those that were open stay so.
let opened = [];
const drawers = () => [...form().querySelectorAll("details")].filter((each) => !each.closest("mask-canvas"));

function keepOpen() {
  drawers().forEach((each, index) => { each.open ||= opened[index]; });
  opened = [];
}

customElements.define("filter-box", FilterBox);
if (form()) {
  refresh();
  document.addEventListener("input", (event) => {
    if (!event.target.closest?.("#create")) return;
    if (event.target.id === "create-seed" && event.target.value) document.getElementById("create-random").checked = false;
    if (event.target.id === "create-random" && event.target.checked) document.getElementById("create-seed").value = "";
    refresh();
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "create-adapter") addAdapter(event.target);
    if (event.target.name === "subject" && event.target.checked) begin(event.target);
    if (event.target.id === "create-model") document.getElementById("create-model-other").value = "";
  });
  document.addEventListener("keydown", complete);
  document.addEventListener("click", forgetAdapter);
  document.addEventListener("htmx:before:request", (event) => {
    if (event.detail.ctx?.sourceElement?.id === "create") opened = drawers().map((each) => each.open);
  });
  document.addEventListener("htmx:after:settle", () => { keepOpen(); refresh(); });
}
