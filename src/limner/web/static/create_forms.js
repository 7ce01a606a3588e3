// What the forms of Create share: images to choose, keys, and what survives a reload. They work without it.
const form = () => document.querySelector("#create, #pets, #marketing");
const MEGABYTE = 2 ** 20;

/** Send one file; resolves with the answer's text, rejects with why the server refused it. */
function send(url, name, file, more = [], progress = () => {}) {
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
function tooLarge(form, file) {
  const limit = Number(form.dataset.limit);
  if (file.size <= limit) return "";
  return `'${file.name}' has ${Math.round(file.size / MEGABYTE)} MB, and the limit is ${Math.round(limit / MEGABYTE)} MB; choose a smaller file`;
}

/** An image that is chosen, dropped or pasted: sent at once, so that it survives errors and reloads. */
class ImageField extends HTMLElement {
  static send = send;
  static tooLarge = tooLarge;

  connectedCallback() {
    if (this.ready) return;
    this.ready = true;
    this.name = this.dataset.name;
    this.form = this.closest("form");
    this.box = this.querySelector(".drop");
    this.file = this.querySelector("input[type=file]");
    this.hidden_value = this.querySelector("input[type=hidden]");
    this.refusal = this.querySelector("input[name$='.refused']");
    this.form.addEventListener("submit", (event) => this.hold(event), true);
    this.file.addEventListener("change", () => this.file.files[0] && this.take(this.file.files[0]));
    this.addEventListener("dragover", (event) => { event.preventDefault(); this.box.classList.add("over"); });
    this.addEventListener("dragleave", () => this.box.classList.remove("over"));
    this.addEventListener("drop", (event) => {
      event.preventDefault();
      this.box.classList.remove("over");
      if (event.dataTransfer.files[0]) this.take(event.dataTransfer.files[0]);
    });
    this.addEventListener("click", (event) => {
      const pressed = event.target.closest(".remove, .without");
      if (!pressed) return;
      event.preventDefault();
      this.set(pressed.matches(".without") ? this.value : "");
      this.file.focus();
    });
    this.show();
  }

  /** Show why the last file was refused, or hide it. It is sent with the form, which the server then refuses. */
  report(text) {
    this.refusal.value = text;
    this.querySelector(".without")?.remove();
    if (text) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "button without";
      button.textContent = this.value ? "Keep the picture above" : "Go on without it";
      this.box.append(button);
    }
    const line = this.parentElement.querySelector(":scope > .error");
    line.textContent = text;
    line.hidden = !text;
    if (text) this.file.setAttribute("aria-invalid", "true");
    else this.file.removeAttribute("aria-invalid");
  }

  refuse(text) {
    this.report(text);
    this.file.value = "";
    this.dispatchEvent(new Event("input", { bubbles: true })); // so that it is remembered
  }

  get value() { return this.hidden_value.value; }

  take(file) {
    this.sending = this.store(file).finally(() => { this.sending = null; });
    return this.sending;
  }

  /** Let the form wait for a file that is on its way. */
  async hold(event) {
    if (!this.sending || event.defaultPrevented) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    await this.sending;
    this.form.requestSubmit(event.submitter ?? undefined);
  }

  async store(file) {
    const problem = tooLarge(this.form, file);
    if (problem) { this.refuse(problem); return; }
    this.report("");
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", "Sending the picture");
    this.box.append(bar);
    try {
      this.set(await send(this.form.dataset.files, `${this.name}.file`, file, [], (part) => { bar.value = part; }));
    } catch (error) {
      this.refuse(error.message);
    }
    this.file.value = "";
    bar.remove();
  }

  set(reference) {
    this.hidden_value.value = reference;
    this.report("");
    this.show();
    this.dispatchEvent(new Event("input", { bubbles: true }));
  }

  show() {
    if (this.refusal.value) this.report(this.refusal.value);
    const hash = this.value.startsWith("sha256:") ? this.value.slice(7) : "";
    this.querySelector(".chosen")?.remove();
    this.querySelector(".remove")?.remove();
    const url = hash && `${this.form.dataset.root}/v1/files/${hash}`;
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

// What was typed survives a reload, until it is used up by another set of settings in the address.
const MEMORY = () => `limner.${form().id}`;
const CHOSEN = new Set(["checkbox", "radio"]);
const REMEMBERED = "input:not([type=file]):not([type=search]), textarea, select";

function remember() {
  if (location.search) history.replaceState(history.state, "", location.pathname); // which would replace what was typed since
  const values = [...form().querySelectorAll(REMEMBERED)].filter((field) => field.name).map((field) => (
    CHOSEN.has(field.type) ? [field.name, field.value || " ", field.checked] : [field.name, "", field.value]
  ));
  try { sessionStorage.setItem(MEMORY(), JSON.stringify(values)); } catch { /* storage is full or off */ }
}

/** The words of an industry were changed: their field comes with the industry, and the server fills it in by this. */
function keepWords(name, value) {
  const field = Object.assign(document.createElement("input"), { type: "hidden", name, value });
  document.getElementById("adapters")?.append(field);
}

function recall() {
  if (location.search || form().querySelector(".wrong")) return;
  let values;
  try { values = JSON.parse(sessionStorage.getItem(MEMORY()) || "[]"); } catch { return; }
  const seen = new Map();
  for (const [name, which, value] of values) {
    const fields = [...form().querySelectorAll(`:is(${REMEMBERED})[name="${CSS.escape(name)}"]`)];
    if (which) {
      for (const field of fields) if (field.value === which.trim()) field.checked = value;
      continue;
    }
    const field = fields.filter((each) => !CHOSEN.has(each.type))[seen.get(name) ?? 0]; // several have the same name
    seen.set(name, (seen.get(name) ?? 0) + 1);
    if (field) field.value = value;
    else if (name.startsWith("words")) keepWords(name, value);
  }
  for (const field of form().querySelectorAll("image-field")) field.show?.();
  for (const drawer of form().querySelectorAll("details:has(image-field)")) {
    if ([...drawer.querySelectorAll("image-field input[type=hidden]")].some((each) => each.value)) drawer.open = true;
  }
}

/** The choices of Pets stand in the address, since the server knows what belongs to each: breeds, drawings, the prompt. */
function rememberInAddress() {
  const query = new URLSearchParams();
  const data = [...new FormData(form())].filter(([, value]) => typeof value === "string" && value.trim());
  const given = Object.fromEntries(data);
  for (const [name, value] of data) {
    if (name === "made" || (name === "prompt" && value.trim() === (given.made ?? "").trim())) continue;
    query.append(name, value);
  }
  if (query.toString().length < 6000) history.replaceState(history.state, "", `${location.pathname}?${query}`);
}

// F, C and 1 to 5 act on the result that holds the focus; Ctrl and Enter in the form create.
function keys(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.closest("form") === form()) {
    event.preventDefault();
    form().requestSubmit(form().querySelector(".primary"));
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), textarea, select")) return;
  const mark = event.target.closest(".result")?.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!mark) return;
  event.preventDefault();
  mark.click();
}

/** An image that was pasted or dropped anywhere: the form starts from it. */
function take(event, files) {
  const file = [...files ?? []].find((each) => event.type === "drop" || each.type.startsWith("image/"));
  const field = form().querySelector("image-field");
  if (!file || !field || event.defaultPrevented) return;
  event.preventDefault();
  for (let drawer = field.closest("details"); drawer; drawer = drawer.parentElement.closest("details")) drawer.open = true;
  field.take(file);
}

/** Show the job that an action on a result began: its card is the first one, above what was read. */
function announce(source, ctx) {
  const began = /\/create\/(variations|larger)\//.test(source.getAttribute("action") ?? "");
  if (!began || ctx.response?.status !== 200) return;
  setTimeout(() => {
    const card = document.querySelector("#results article");
    const list = document.getElementById("results");
    card?.scrollIntoView({ block: "start" });
    list.tabIndex = -1;
    list.focus({ preventScroll: true }); // not the card, which each step replaces
    const text = source.getAttribute("action").includes("/larger/") ? "A larger copy is being made." : "Variations are being made.";
    document.dispatchEvent(new CustomEvent("limner:toast", { detail: text }));
  }, 50);
}

/** Open the menu of a result where there is room: above its button or below it, and within the window. */
function placeMenu(menu) {
  const list = menu.querySelector("ul");
  menu.classList.remove("up", "end");
  list.style.maxHeight = "";
  if (!menu.open) return;
  for (const other of document.querySelectorAll(".more[open]")) if (other !== menu) other.open = false;
  const { clientWidth, clientHeight } = document.documentElement; // not innerHeight, which a list beyond the edge makes larger on a phone
  const at = () => menu.querySelector("summary").getBoundingClientRect();
  menu.classList.toggle("end", at().left + list.offsetWidth > clientWidth - 8);
  const button = at();
  const bars = [...document.querySelectorAll(".bar, .bar nav, #compare")].map((each) => each.getBoundingClientRect()).filter((each) => each.height);
  const top = Math.max(0, ...bars.filter((each) => each.top <= 0).map((each) => each.bottom));
  const bottom = Math.min(clientHeight, ...bars.filter((each) => each.top > clientHeight / 2).map((each) => each.top));
  const [above, below] = [button.top - top, bottom - button.bottom];
  const up = below < list.offsetHeight + 12 && above > below;
  menu.classList.toggle("up", up);
  list.style.maxHeight = `${Math.max(132, (up ? above : below) - 12)}px`;
}

/** Close the menu of a result: after a choice, a click elsewhere, or Escape. */
function closeMenus(event) {
  const item = event.target.closest?.(".more li a, .more li button");
  for (const menu of document.querySelectorAll(".more[open]")) {
    const chosen = item && menu.contains(item);
    if (!chosen && event.type !== "keydown" && menu.contains(event.target)) continue;
    setTimeout(() => { // after the form was sent
      const inside = menu.contains(document.activeElement);
      menu.open = false;
      if (inside) menu.querySelector("summary").focus({ preventScroll: true });
    });
  }
}

/** Bring into view what an action on a result answered below it. */
function showAnswer(source) {
  const answer = document.getElementById(source.closest(".result").id)?.querySelector(".about");
  setTimeout(() => { if (answer?.textContent.trim()) answer.scrollIntoView({ block: "nearest" }); }, 50);
}

const compared = () => document.querySelectorAll("#results input[name=id]:checked").length;

/** What the bar of the images to compare says; empty if they can be compared. */
function compareProblem() {
  const count = compared();
  if (count < 2) return "Choose one more image to compare.";
  return count > 4 ? `Four images can be compared; leave out ${count - 4}.` : "";
}

function showCompared(pressed = false) {
  const line = document.querySelector("#compare [role=status]");
  if (!line) return;
  line.textContent = "";
  line.classList.toggle("error", pressed);
  setTimeout(() => { line.textContent = compareProblem() || `${compared()} images are chosen.`; }); // so that it is read again
}

customElements.define("image-field", ImageField);
if (form()) {
  const keep = form().id === "pets" ? rememberInAddress : remember;
  if (form().id !== "pets") recall();
  document.addEventListener("input", (event) => { if (event.target.closest?.("form") === form()) setTimeout(keep); });
  // A breed is chosen by its picture or from the list of the others: the last choice counts.
  document.addEventListener("change", (event) => {
    if (event.target.name !== "breed") return;
    const list = document.getElementById("pets-breed");
    if (event.target !== list && list) list.value = "";
    else if (list?.value) for (const card of document.querySelectorAll("input[name=breed]")) card.checked = false;
  }, true);
  document.addEventListener("keydown", keys);
  document.addEventListener("toggle", (event) => { if (event.target.matches?.(".more")) placeMenu(event.target); }, true);
  document.addEventListener("click", closeMenus);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") closeMenus(event); });
  document.addEventListener("change", (event) => { if (event.target.name === "id") showCompared(); });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("#compare")) return; // its own id is hidden by its fields of that name
    if (!compareProblem()) return;
    event.preventDefault();
    showCompared(true);
  });
  document.addEventListener("paste", (event) => take(event, event.clipboardData?.files));
  document.addEventListener("dragover", (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); });
  document.addEventListener("drop", (event) => take(event, event.dataTransfer?.files));
  // A link to the empty form forgets what was typed.
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-anew]")) { try { sessionStorage.removeItem(MEMORY()); sessionStorage.removeItem("limner.mask"); } catch { /* it is off */ } }
  });
  document.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    const source = ctx?.sourceElement;
    if (source?.closest?.(".result")) {
      if (source.matches(".more *")) showAnswer(source);
      return announce(source, ctx);
    }
    if (!source || (source !== form() && source.form !== form() && !source.closest?.("form.panel"))) return;
    setTimeout(() => {
      if (ctx.response?.status === 422) showError();
      else if (document.querySelector("#copy .copied") && source !== form()) document.getElementById("copy").scrollIntoView({ block: "center" });
      // The new one may stand below the form, as on a phone, or above what is in view.
      else if (source === form() && ctx.response?.status === 200) {
        const { top } = document.getElementById("results").getBoundingClientRect();
        if (top < 0 || top > innerHeight / 2) document.getElementById("results").scrollIntoView({ block: "start" });
      }
    }, 50);
  });
}

/** Bring the first message into view, which might stand behind the bar with the buttons, and go to its field. */
function showError() {
  const line = form().querySelector(".error:not([hidden])");
  if (!line) return;
  for (let drawer = line.closest("details"); drawer; drawer = drawer.parentElement.closest("details")) drawer.open = true;
  const field = line.closest("[data-field]");
  (field?.querySelector("[aria-invalid=true]") ?? field?.querySelector("input, select, textarea"))?.focus({ preventScroll: true });
  line.scrollIntoView({ block: "center" });
}
