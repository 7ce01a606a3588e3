// Behaviours of the page Create. The form works without them.
const form = () => document.getElementById("create");
const MEGABYTE = 2 ** 20;

/** Show a message next to a field, or hide it. */
function report(id, text) {
  const line = document.getElementById(id);
  if (!line) return;
  line.textContent = text;
  line.hidden = !text;
}

/** Send one file; resolves with the answer's text, rejects with why the server refused it. */
export function send(url, name, file, more = [], progress = () => {}) {
  return new Promise((resolve, reject) => {
    const body = new FormData();
    for (const [key, value] of more) body.append(key, value);
    body.append(name, file, file.name || "pasted.png");
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("HX-Request", "true");
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onload = () => {
      if (request.status < 300) resolve(request.responseText);
      else if (request.status === 422) reject(new Error(request.responseText));
      else reject(new Error(`The file was not stored (error ${request.status}); try again.`));
    };
    request.onerror = () => reject(new Error("The server does not answer. Nothing is lost; try again."));
    request.send(body);
  });
}

/** Why a file is too large to be sent; empty if it is not. */
function tooLarge(file) {
  const limit = Number(form().dataset.limit);
  if (file.size <= limit) return "";
  return `'${file.name}' has ${Math.round(file.size / MEGABYTE)} MB, and the limit is ${Math.round(limit / MEGABYTE)} MB; choose a smaller file`;
}

/** An image that is chosen, dropped or pasted: sent at once, so that it survives errors and reloads. */
class ImageField extends HTMLElement {
  connectedCallback() {
    if (this.ready) return;
    this.ready = true;
    this.name = this.dataset.name;
    this.box = this.querySelector(".drop");
    this.file = this.querySelector("input[type=file]");
    this.hidden_value = this.querySelector("input[type=hidden]");
    this.file.addEventListener("change", () => this.file.files[0] && this.take(this.file.files[0]));
    this.addEventListener("dragover", (event) => { event.preventDefault(); this.box.classList.add("over"); });
    this.addEventListener("dragleave", () => this.box.classList.remove("over"));
    this.addEventListener("drop", (event) => {
      event.preventDefault();
      this.box.classList.remove("over");
      if (event.dataTransfer.files[0]) this.take(event.dataTransfer.files[0]);
    });
    this.addEventListener("click", (event) => {
      if (!event.target.closest(".remove")) return;
      event.preventDefault();
      this.set("");
      this.file.focus();
    });
    this.show();
  }

  get value() { return this.hidden_value.value; }

  async take(file) {
    const line = `create-${this.name}-message`;
    const problem = tooLarge(file);
    report(line, problem);
    if (problem) { this.file.value = ""; return; }
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", "Sending the picture");
    this.box.append(bar);
    try {
      this.set(await send(form().dataset.files, `${this.name}.file`, file, [], (part) => { bar.value = part; }));
    } catch (error) {
      report(line, error.message);
    }
    this.file.value = "";
    bar.remove();
  }

  set(reference) {
    this.hidden_value.value = reference;
    report(`create-${this.name}-message`, "");
    this.show();
    this.dispatchEvent(new Event("input", { bubbles: true }));
  }

  show() {
    const hash = this.value.startsWith("sha256:") ? this.value.slice(7) : "";
    this.querySelector(".chosen")?.remove();
    this.querySelector(".remove")?.remove();
    const url = hash && `${form().dataset.root}/v1/files/${hash}`;
    if (hash) {
      const figure = document.createElement("figure");
      figure.className = "chosen";
      const image = document.createElement("img");
      image.alt = "The chosen image";
      image.src = url;
      figure.append(image);
      const button = document.createElement("button");
      button.type = "button";
      button.className = "button remove";
      button.textContent = "Remove";
      this.box.append(figure, button);
    }
    this.showNeeds();
    if (this.name === "image") {
      const mask = document.querySelector("mask-canvas");
      if (mask?.setImage) mask.setImage(url || "");
      else if (mask && url) mask.dataset.image = url;
    }
  }

  /** Show the fields that mean something only with this image. */
  showNeeds() {
    for (const each of document.querySelectorAll(`[data-needs="${this.name}"]`)) each.hidden = !this.value;
  }
}

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

/** Tab takes a trigger word that is half written; Ctrl and Enter create. */
function keys(event) {
  const prompt = event.target;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && prompt.closest?.("#create")) {
    event.preventDefault();
    form().requestSubmit(document.getElementById("create-submit"));
  }
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

async function addAdapter(input) {
  const file = input.files[0];
  const problem = file && tooLarge(file);
  report("create-adapter-message", problem || "");
  if (!file || problem) { input.value = ""; return; }
  const chosen = [...form().querySelectorAll("input[name=subject]:checked")].map((box) => ["subject", `${box.value}:${form().elements[`weight.${box.value}`].value}`]);
  try {
    const text = await send(form().dataset.files, "adapter.file", file, chosen);
    document.getElementById("subjects").outerHTML = text;
    offerWords();
    document.dispatchEvent(new CustomEvent("limner:toast", { detail: "Added. It is chosen for the next image." }));
    document.querySelector(".chip input:checked")?.focus();
  } catch (error) {
    input.value = "";
    report("create-adapter-message", error.message);
  }
}

// What was typed survives a reload, until it is used up by another set of settings in the address.
const MEMORY = "limner.create";
const REMEMBERED = "input:not([type=file]):not([type=search]), textarea, select";

function remember() {
  const values = [...form().querySelectorAll(REMEMBERED)].filter((field) => field.name).map((field) => [
    field.name, field.type === "checkbox" || field.type === "radio" ? field.value : "", field.type === "checkbox" || field.type === "radio" ? field.checked : field.value,
  ]);
  try { sessionStorage.setItem(MEMORY, JSON.stringify(values)); } catch { /* storage is full or off */ }
}

function recall() {
  if (location.search || form().querySelector(".wrong")) return;
  let values;
  try { values = JSON.parse(sessionStorage.getItem(MEMORY) || "[]"); } catch { return; }
  for (const [name, which, value] of values) {
    for (const field of form().querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (field.type === "file") continue;
      if (field.type === "checkbox" || field.type === "radio") { if (field.value === which) field.checked = value; }
      else field.value = value;
    }
  }
  for (const field of form().querySelectorAll("image-field")) field.show?.();
  for (const drawer of form().querySelectorAll("#create-start, #create-guide-drawer")) {
    if (drawer.querySelector("image-field input[type=hidden]").value) drawer.open = true;
  }
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
  for (const field of form().querySelectorAll("image-field")) field.showNeeds?.();
}

// A form that comes back from the server has its drawers closed: those that were open stay so.
let opened = [];
const drawers = () => [...form().querySelectorAll("details")].filter((each) => !each.closest("mask-canvas"));

function keepOpen() {
  drawers().forEach((each, index) => { each.open ||= opened[index]; });
  opened = [];
}

customElements.define("image-field", ImageField);
customElements.define("filter-box", FilterBox);
if (form()) {
  recall();
  refresh();
  document.addEventListener("input", (event) => {
    if (!event.target.closest?.("#create")) return;
    if (event.target.id === "create-seed" && event.target.value) document.getElementById("create-random").checked = false;
    if (event.target.id === "create-random" && event.target.checked) document.getElementById("create-seed").value = "";
    refresh();
    remember();
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "create-adapter") addAdapter(event.target);
  });
  document.addEventListener("keydown", keys);
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    document.getElementById("create-start").open = true;
    document.querySelector("image-field[data-name=image]").take(file);
  });
  document.addEventListener("dragover", (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    const file = event.dataTransfer?.files[0];
    if (!file || event.defaultPrevented) return;
    event.preventDefault();
    document.getElementById("create-start").open = true;
    document.querySelector("image-field[data-name=image]").take(file);
  });
  document.addEventListener("htmx:before:request", (event) => {
    if (event.detail.ctx?.sourceElement?.id === "create") opened = drawers().map((each) => each.open);
  });
  document.addEventListener("htmx:after:settle", () => { keepOpen(); refresh(); });
  // On a phone the results stand below the form: show the new one.
  document.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    if (ctx?.sourceElement?.id !== "create" || ctx.response?.status !== 200 || !matchMedia("(max-width: 48rem)").matches) return;
    setTimeout(() => document.getElementById("results").scrollIntoView({ block: "start" }), 50);
  });
}
