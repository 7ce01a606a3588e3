// <mask-canvas name="mask" data-image="URL">: paint the area of an image that is made anew.
// A form sends it as NAME.file, a PNG that is white on black, or as NAME, the reference of a mask that was not changed.
// Without this script the file field inside the element takes a mask.

const TILE = 256;
const MOST_STEPS = 40;
const MOST_TILES = 600; // of all steps together: about 150 MB at most
const PAINT = "#e0561b";
const QUIET = 200; // milliseconds without a stroke before the mask is encoded

const button = (text, name, pressed) => {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "button";
  made.textContent = text;
  made.dataset.tool = name;
  if (pressed !== undefined) made.setAttribute("aria-pressed", String(pressed));
  return made;
};

const loaded = (url) => new Promise((resolve, reject) => {
  const image = new Image();
  image.onload = () => resolve(image);
  image.onerror = () => reject(new Error("this picture cannot be shown here"));
  image.src = url;
});

class MaskCanvas extends HTMLElement {
  static formAssociated = true;

  constructor() {
    super();
    this.internals = this.attachInternals();
    this.steps = [];
    this.pending = null;
    this.pointer = null;
    this.erasing = false;
  }

  connectedCallback() {
    if (this.canvas) return;
    this.replaceChildren();
    this.setAttribute("role", "group");
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", "Area to repaint. Use the rectangle by numbers below to set it with the keyboard.");
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.build();
    this.canvas.addEventListener("pointerdown", (event) => this.begin(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      this.canvas.addEventListener(name, (event) => this.end(event));
    }
    this.addEventListener("keydown", (event) => this.key(event));
    this.form = this.closest("form");
    this.beforeSubmit = (event) => this.hold(event);
    this.form?.addEventListener("submit", this.beforeSubmit, true);
    this.setImage(this.dataset.image || "", this.dataset.mask, this.dataset.reference);
  }

  disconnectedCallback() {
    this.form?.removeEventListener("submit", this.beforeSubmit, true);
  }

  build() {
    const tools = document.createElement("div");
    tools.className = "mask-tools";
    this.brush = button("Brush", "brush", true);
    this.eraser = button("Eraser", "eraser", false);
    this.undoButton = button("Undo", "undo");
    const size = document.createElement("label");
    size.append("Brush size ");
    this.size = Object.assign(document.createElement("input"), { type: "range", min: "1", max: "40", value: "10" });
    size.append(this.size);
    tools.append(this.brush, this.eraser, this.undoButton, button("Clear", "clear"), button("Invert", "invert"), button("Everything", "all"), size);
    tools.addEventListener("click", (event) => this.tool(event.target.closest("button")?.dataset.tool));
    this.stage = document.createElement("div");
    this.stage.className = "mask-stage";
    this.picture = document.createElement("img");
    this.picture.alt = "";
    this.stage.append(this.picture, this.canvas);
    const numbers = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = "Rectangle by numbers";
    const grid = document.createElement("div");
    grid.className = "mask-numbers";
    this.numbers = ["left", "top", "width", "height"].map((name) => {
      const label = document.createElement("label");
      label.append(`${name} `);
      const input = Object.assign(document.createElement("input"), { type: "number", min: "0", step: "1", inputMode: "numeric" });
      input.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); this.tool("rectangle"); } });
      label.append(input);
      grid.append(label);
      return input;
    });
    numbers.append(summary, grid, button("Add the rectangle", "rectangle"));
    numbers.addEventListener("click", (event) => this.tool(event.target.closest("button")?.dataset.tool));
    const own = document.createElement("label");
    own.className = "term";
    own.append("Or open a mask file ");
    const file = Object.assign(document.createElement("input"), { type: "file", accept: "image/*" });
    file.addEventListener("change", () => { if (file.files[0]) this.open(file.files[0]); file.value = ""; });
    own.append(file);
    this.message = document.createElement("p");
    this.message.setAttribute("role", "status");
    this.message.className = "help";
    this.append(tools, this.stage, numbers, own, this.message);
  }

  /** Show another image, without a mask or with one of the same size. */
  async setImage(url, mask = "", reference = "") {
    if (url === this.shown) return;
    this.shown = url;
    this.steps = [];
    this.reference = reference;
    this.painted = false;
    this.canvas.width = this.canvas.height = 1;
    this.publish(null);
    this.message.textContent = "";
    if (!url) { this.picture.removeAttribute("src"); return; }
    this.ready = (async () => {
      try {
        const image = await loaded(url);
        if (url !== this.shown) return;
        this.picture.src = url;
        this.canvas.width = image.naturalWidth;
        this.canvas.height = image.naturalHeight;
        if (mask) { this.draw(await loaded(mask)); this.painted = false; this.publish(null); }
      } catch (error) {
        this.message.textContent = error.message;
      }
    })();
    await this.ready;
  }

  /** Take a mask file of the image's size: white, or what is drawn on a transparent ground. */
  async open(file) {
    const url = URL.createObjectURL(file);
    try {
      const image = await loaded(url);
      const [w, h] = [image.naturalWidth, image.naturalHeight];
      if (w !== this.canvas.width || h !== this.canvas.height) {
        this.message.textContent = `The mask is ${w} x ${h} px, and the image ${this.canvas.width} x ${this.canvas.height}; use a mask of the image's size, or paint it here.`;
        return;
      }
      this.message.textContent = "";
      this.save(0, 0, w, h, true);
      this.draw(image);
      this.changed();
    } catch {
      this.message.textContent = `'${file.name}' cannot be shown; choose a PNG.`;
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  /** Paint where an image is light. */
  draw(image) {
    const { width, height } = this.canvas;
    const copy = new OffscreenCanvas(width, height).getContext("2d");
    copy.drawImage(image, 0, 0, width, height);
    const pixels = copy.getImageData(0, 0, width, height);
    const data = pixels.data;
    for (let at = 0; at < data.length; at += 4) {
      data[at + 3] = data[at + 3] * Math.max(data[at], data[at + 1], data[at + 2]) / 255;
      data[at] = 224; data[at + 1] = 86; data[at + 2] = 27;
    }
    this.context.putImageData(pixels, 0, 0);
  }

  tool(name) {
    const { width, height } = this.canvas;
    if (!name || width < 2) return;
    if (name === "brush" || name === "eraser") {
      this.erasing = name === "eraser";
      this.brush.setAttribute("aria-pressed", String(!this.erasing));
      this.eraser.setAttribute("aria-pressed", String(this.erasing));
      return;
    }
    if (name === "undo") return this.undo();
    const context = this.context;
    if (name === "rectangle") {
      const [left, top, wide, high] = this.numbers.map((input) => Number(input.value) || 0);
      if (wide < 1 || high < 1) { this.message.textContent = "Give the width and the height of the rectangle."; return; }
      this.message.textContent = "";
      this.save(left, top, wide, high, true);
      context.globalCompositeOperation = this.erasing ? "destination-out" : "source-over";
      context.fillStyle = PAINT;
      context.fillRect(left, top, wide, high);
    } else {
      this.save(0, 0, width, height, true);
      context.globalCompositeOperation = "source-over";
      if (name === "invert") {
        const old = new OffscreenCanvas(width, height);
        old.getContext("2d").drawImage(this.canvas, 0, 0);
        context.clearRect(0, 0, width, height);
        context.fillStyle = PAINT;
        context.fillRect(0, 0, width, height);
        context.globalCompositeOperation = "destination-out";
        context.drawImage(old, 0, 0);
      } else {
        context.clearRect(0, 0, width, height);
        context.fillStyle = PAINT;
        if (name === "all") context.fillRect(0, 0, width, height);
      }
    }
    context.globalCompositeOperation = "source-over";
    this.changed();
  }

  key(event) {
    if ((event.ctrlKey || event.metaKey) && event.key === "z") { event.preventDefault(); this.undo(); }
    if (event.target.closest("input")) return;
    if (event.key === "[") this.size.value = Number(this.size.value) - 2;
    if (event.key === "]") this.size.value = Number(this.size.value) + 2;
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * this.canvas.width / box.width, (event.clientY - box.top) * this.canvas.height / box.height];
  }

  begin(event) {
    if (this.pointer !== null || event.button > 0 || this.canvas.width < 2) return;
    event.preventDefault();
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.step(true);
    this.last = this.place(event);
    this.line(this.last, event);
  }

  move(event) {
    if (event.pointerId !== this.pointer) return;
    const parts = event.getCoalescedEvents?.() ?? [];
    for (const part of parts.length ? parts : [event]) this.line(this.place(part), part);
  }

  end(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.changed();
  }

  line([x, y], event) {
    const shorter = Math.min(this.canvas.width, this.canvas.height);
    const pressure = event.pointerType === "pen" && event.pressure ? 0.5 + event.pressure : 1;
    const width = Math.max(1, shorter * Number(this.size.value) / 100 * pressure);
    const [fromX, fromY] = this.last;
    const half = width / 2 + 1;
    this.save(Math.min(x, fromX) - half, Math.min(y, fromY) - half, Math.abs(x - fromX) + 2 * half, Math.abs(y - fromY) + 2 * half);
    const context = this.context;
    context.globalCompositeOperation = this.erasing ? "destination-out" : "source-over";
    context.strokeStyle = PAINT;
    context.lineWidth = width;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(fromX, fromY);
    context.lineTo(x, y);
    context.stroke();
    context.globalCompositeOperation = "source-over";
    this.last = [x, y];
  }

  step(fresh) {
    if (fresh) this.steps.push(new Map());
    while (this.steps.length > MOST_STEPS || (this.steps.length > 1 && this.tiles() > MOST_TILES)) this.steps.shift();
    return this.steps.at(-1);
  }

  tiles() {
    return this.steps.reduce((sum, step) => sum + step.size, 0);
  }

  /** Keep the tiles of a rectangle as they were before their first change in this step. */
  save(left, top, width, height, fresh = false) {
    const step = this.step(fresh);
    const last = (end, most) => Math.min(Math.ceil(end / TILE), Math.ceil(most / TILE));
    for (let row = Math.max(0, Math.floor(top / TILE)); row < last(top + height, this.canvas.height); row += 1) {
      for (let column = Math.max(0, Math.floor(left / TILE)); column < last(left + width, this.canvas.width); column += 1) {
        const key = `${column},${row}`;
        if (step.has(key)) continue;
        // Not drawImage: the browser would copy the whole canvas before the next stroke.
        step.set(key, [this.context.getImageData(column * TILE, row * TILE, TILE, TILE), column * TILE, row * TILE]);
      }
    }
  }

  undo() {
    const step = this.steps.pop();
    if (!step) return;
    for (const [tile, left, top] of step.values()) this.context.putImageData(tile, left, top);
    this.changed();
  }

  changed() {
    this.painted = true;
    this.reference = "";
    clearTimeout(this.timer);
    this.pending = true;
    this.timer = setTimeout(() => this.encode(), QUIET);
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** The mask as a PNG, white on black; null where nothing is painted. */
  async png() {
    const { width, height } = this.canvas;
    const small = new OffscreenCanvas(Math.min(width, 64), Math.min(height, 64)).getContext("2d");
    small.drawImage(this.canvas, 0, 0, small.canvas.width, small.canvas.height);
    const any = small.getImageData(0, 0, small.canvas.width, small.canvas.height).data.some((value, at) => at % 4 === 3 && value > 0);
    if (!any) return null;
    const copy = new OffscreenCanvas(width, height);
    const context = copy.getContext("2d");
    context.drawImage(this.canvas, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    return copy.convertToBlob({ type: "image/png" });
  }

  async encode() {
    clearTimeout(this.timer);
    this.pending = false;
    const blob = await this.png();
    this.publish(blob && new File([blob], "mask.png", { type: "image/png" }));
  }

  publish(file) {
    const name = this.getAttribute("name");
    const data = new FormData();
    if (file) data.append(`${name}.file`, file);
    else if (this.reference) data.append(name, this.reference);
    this.internals.setFormValue([...data.keys()].length ? data : null);
  }

  /** Let a form wait for a mask that is not encoded yet. */
  async hold(event) {
    if (!this.pending) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    await this.encode();
    this.form.requestSubmit(event.submitter ?? undefined);
  }
}

customElements.define("mask-canvas", MaskCanvas);
