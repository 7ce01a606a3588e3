// <mask-canvas name="mask" data-image="URL">: paint the area of an image that is made anew.
// A form sends it as NAME.file, a PNG that is white on black, or as NAME, the reference of a mask that was not changed.
// Two fingers, or Ctrl and the wheel, zoom and move the image. Keys: [ and ] brush size, B, E, Ctrl+Z, +, -, 0 and arrows.
// Without this script the file field inside the element takes a mask.

const TILE = 256;
const MOST_STEPS = 40;
const MOST_TILES = 600; // of all steps together: about 150 MB at most
const STRIPES = ["#10205c", "#ffffff"]; // a dark and a light one: one of them is seen on any picture
const LARGEST_ZOOM = 16;
const QUIET = 800; // milliseconds without a stroke before the mask is encoded

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

const KEPT = "limner.mask";

class MaskCanvas extends HTMLElement {
  static formAssociated = true;

  constructor() {
    super();
    this.internals = this.attachInternals();
    this.steps = [];
    this.pending = null;
    this.pointer = null;
    this.erasing = false;
    this.fingers = new Map();
    this.pinch = null;
    this.view = { zoom: 1, x: 0, y: 0 };
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
    this.canvas.addEventListener("pointerleave", () => { this.ring.hidden = true; });
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.addEventListener("keydown", (event) => this.key(event));
    this.addEventListener("keyup", (event) => { if (event.key === " ") this.moving = false; });
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
    this.larger = button("+", "in");
    this.larger.setAttribute("aria-label", "Zoom in");
    this.smaller = button("−", "out");
    this.smaller.setAttribute("aria-label", "Zoom out");
    tools.append(this.brush, this.eraser, this.undoButton, button("Clear", "clear"), button("Invert", "invert"), button("Everything", "all"), this.smaller, this.larger, size);
    tools.addEventListener("click", (event) => this.tool(event.target.closest("button")?.dataset.tool));
    this.stage = document.createElement("div");
    this.stage.className = "mask-stage";
    this.picture = document.createElement("img");
    this.picture.alt = "";
    this.sheet = document.createElement("div");
    this.sheet.className = "mask-sheet";
    this.sheet.append(this.picture, this.canvas);
    this.ring = document.createElement("div");
    this.ring.className = "mask-ring";
    this.ring.hidden = true;
    this.stage.append(this.sheet, this.ring);
    const keys = document.createElement("p");
    keys.className = "help";
    keys.textContent = matchMedia("(pointer: coarse)").matches ? "Two fingers zoom and move the image." : "Ctrl and the wheel zoom. Keys: [ ] brush size, B brush, E eraser, Ctrl+Z undo, + − 0 zoom, arrows move.";
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
    own.className = "term mask-file";
    own.append("Or open a mask file ");
    const file = Object.assign(document.createElement("input"), { type: "file", accept: "image/*" });
    file.addEventListener("change", () => { if (file.files[0]) this.open(file.files[0]); file.value = ""; });
    own.append(file);
    this.message = document.createElement("p");
    this.message.setAttribute("role", "status");
    this.message.className = "help";
    this.without = button("Go on without this file", "without");
    this.without.hidden = true;
    this.without.addEventListener("click", () => this.refuse(""));
    this.again = button("Use it here too", "again");
    this.again.hidden = true;
    this.again.addEventListener("click", () => this.useAgain());
    this.append(tools, this.stage, keys, numbers, own, this.message, this.without, this.again);
  }

  /** Show another image, without a mask or with one of the same size. */
  async setImage(url, mask = "", reference = "") {
    if (url === this.shown) return;
    const first = this.shown === undefined;
    if (this.painted && this.canvas.width > 1) this.aside = this.copy();
    clearTimeout(this.timer);
    this.pending = null;
    this.shown = url;
    this.steps = [];
    this.show(1);
    this.reference = reference;
    this.painted = false;
    this.canvas.width = this.canvas.height = 1;
    this.mask = null;
    this.refuse(first ? this.dataset.refused || "" : "");
    if (!url) { this.picture.removeAttribute("src"); return; }
    this.ready = (async () => {
      try {
        const image = await loaded(url);
        if (url !== this.shown) return;
        this.picture.src = url;
        this.canvas.width = image.naturalWidth;
        this.canvas.height = image.naturalHeight;
        if (mask) { this.draw(await loaded(mask)); this.painted = false; this.publish(null); } else if (!await this.recall(url)) this.offer();
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
        this.refuse(`The mask is ${w} x ${h} px, and the image ${this.canvas.width} x ${this.canvas.height}; use a mask of the image's size, or paint it here.`);
        return;
      }
      this.save(0, 0, w, h, true);
      this.draw(image);
      this.changed();
    } catch {
      this.refuse(`'${file.name}' cannot be shown; choose a PNG, or paint the mask here.`);
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
    }
    copy.putImageData(pixels, 0, 0);
    copy.globalCompositeOperation = "source-in";
    copy.fillStyle = this.stripes();
    copy.fillRect(0, 0, width, height);
    this.context.putImageData(copy.getImageData(0, 0, width, height), 0, 0);
  }

  /** What is painted with: stripes that look as wide on a large image as on a small one. */
  stripes() {
    const side = Math.max(8, Math.round(Math.min(this.canvas.width, this.canvas.height) / 24));
    if (this.pattern?.side === side) return this.pattern.fill;
    const tile = new OffscreenCanvas(side, side);
    const context = tile.getContext("2d");
    [context.fillStyle] = STRIPES;
    context.fillRect(0, 0, side, side);
    [, context.fillStyle] = STRIPES;
    for (const left of [-side, 0, side]) {
      context.beginPath();
      context.moveTo(left, side);
      context.lineTo(left + side, 0);
      context.lineTo(left + side * 1.5, 0);
      context.lineTo(left + side / 2, side);
      context.fill();
    }
    this.pattern = { side, fill: this.context.createPattern(tile, "repeat") };
    return this.pattern.fill;
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
    if (name === "in" || name === "out") return this.show(this.view.zoom * (name === "in" ? 1.5 : 1 / 1.5));
    const context = this.context;
    if (name === "rectangle") {
      const [left, top, wide, high] = this.numbers.map((input) => Number(input.value) || 0);
      if (wide < 1 || high < 1) { this.message.textContent = "Give the width and the height of the rectangle."; return; }
      this.message.textContent = "";
      this.save(left, top, wide, high, true);
      context.globalCompositeOperation = this.erasing ? "destination-out" : "source-over";
      context.fillStyle = this.stripes();
      context.fillRect(left, top, wide, high);
    } else {
      this.save(0, 0, width, height, true);
      context.globalCompositeOperation = "source-over";
      if (name === "invert") {
        const old = this.copy();
        context.clearRect(0, 0, width, height);
        context.fillStyle = this.stripes();
        context.fillRect(0, 0, width, height);
        context.globalCompositeOperation = "destination-out";
        context.drawImage(old, 0, 0);
      } else {
        context.clearRect(0, 0, width, height);
        context.fillStyle = this.stripes();
        if (name === "all") context.fillRect(0, 0, width, height);
      }
    }
    context.globalCompositeOperation = "source-over";
    this.changed();
  }

  key(event) {
    const written = event.target.closest("input:not([type=range])");
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && !written) { event.preventDefault(); return this.undo(); }
    if (written || event.ctrlKey || event.metaKey || event.altKey) return;
    const { zoom } = this.view;
    const step = 0.1 * this.stage.clientWidth;
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const size = (more) => { this.size.value = Number(this.size.value) + more; };
    const keys = {
      "[": () => size(-2), "]": () => size(2), b: () => this.tool("brush"), e: () => this.tool("eraser"),
      "+": () => this.show(zoom * 1.5), "-": () => this.show(zoom / 1.5), 0: () => this.show(1),
    };
    if (moves[event.key] && zoom > 1 && !event.target.closest("input")) {
      event.preventDefault();
      this.moveBy(...moves[event.key]);
    } else if (event.key === " " && !event.target.closest("button, summary, input")) {
      event.preventDefault();
      this.moving = true;
    } else keys[event.key]?.();
  }

  /** Zoom, so that a place of the window stays where it is; without one, the middle of the stage. */
  show(zoom, clientX = null, clientY = null) {
    const box = this.stage.getBoundingClientRect();
    const [x, y] = clientX === null ? [box.width / 2, box.height / 2] : [clientX - box.left, clientY - box.top];
    const wanted = Math.min(LARGEST_ZOOM, Math.max(1, zoom));
    const factor = wanted / this.view.zoom;
    this.view.zoom = wanted;
    this.view.x = x - (x - this.view.x) * factor;
    this.view.y = y - (y - this.view.y) * factor;
    this.moveBy(0, 0);
  }

  moveBy(x, y) {
    const { zoom } = this.view;
    const within = (value, length) => Math.min(0, Math.max(length * (1 - zoom), value));
    this.view.x = within(this.view.x + x, this.stage.clientWidth);
    this.view.y = within(this.view.y + y, this.stage.clientHeight);
    this.sheet.style.transform = zoom === 1 ? "" : `translate(${this.view.x}px, ${this.view.y}px) scale(${zoom})`;
    this.smaller.disabled = zoom <= 1;
    this.larger.disabled = zoom >= LARGEST_ZOOM;
  }

  /** Ctrl and the wheel, or two fingers on a trackpad, zoom; the wheel alone moves an image that is zoomed. */
  wheel(event) {
    if (this.canvas.width < 2) return;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.show(this.view.zoom * Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
    } else if (this.view.zoom > 1) {
      const { x, y } = this.view;
      this.moveBy(-event.deltaX, -event.deltaY);
      if (x !== this.view.x || y !== this.view.y) event.preventDefault();
    }
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * this.canvas.width / box.width, (event.clientY - box.top) * this.canvas.height / box.height];
  }

  begin(event) {
    if (this.canvas.width < 2) return;
    if (event.pointerType === "touch") this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.fingers.size === 2) return this.grip();
    if (this.pointer !== null || this.pinch || event.button > 1) return;
    event.preventDefault();
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.drag = this.moving || event.button === 1 ? [event.clientX, event.clientY] : null;
    if (this.drag) return;
    this.step(true);
    this.last = this.place(event);
    this.line(this.last, event);
  }

  /** A second finger: take back what the first one began to paint, and zoom. */
  grip() {
    if (this.pointer !== null) {
      this.pointer = null;
      this.restore();
    }
    this.pinch = this.grasp();
  }

  /** The middle of two fingers, and their distance. */
  grasp() {
    const [[ax, ay], [bx, by]] = [...this.fingers.values()];
    return { x: (ax + bx) / 2, y: (ay + by) / 2, distance: Math.hypot(ax - bx, ay - by) || 1 };
  }

  move(event) {
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pinch) {
      if (this.fingers.size !== 2) return;
      const before = this.pinch;
      this.pinch = this.grasp();
      this.moveBy(this.pinch.x - before.x, this.pinch.y - before.y);
      this.show(this.view.zoom * this.pinch.distance / before.distance, this.pinch.x, this.pinch.y);
      return;
    }
    this.circle(event);
    if (event.pointerId !== this.pointer) return;
    if (this.drag) {
      const [x, y] = this.drag;
      this.drag = [event.clientX, event.clientY];
      return this.moveBy(event.clientX - x, event.clientY - y);
    }
    const parts = event.getCoalescedEvents?.() ?? [];
    for (const part of parts.length ? parts : [event]) this.line(this.place(part), part);
  }

  end(event) {
    this.fingers.delete(event.pointerId);
    if (!this.fingers.size) this.pinch = null;
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    if (this.drag) { this.drag = null; return; }
    this.changed();
  }

  /** Show the size of the brush around the mouse. */
  circle(event) {
    this.ring.hidden = event.pointerType === "touch" || this.canvas.width < 2;
    if (this.ring.hidden) return;
    const box = this.stage.getBoundingClientRect();
    const side = Math.min(box.width, box.height) * this.view.zoom * Number(this.size.value) / 100;
    Object.assign(this.ring.style, { width: `${side}px`, height: `${side}px`, left: `${event.clientX - box.left - side / 2}px`, top: `${event.clientY - box.top - side / 2}px` });
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
    context.strokeStyle = this.stripes();
    context.lineWidth = width;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(fromX, fromY);
    context.lineTo(x + 0.01, y); // of no length at all, a line would not be drawn
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
    if (this.restore()) this.changed();
  }

  /** Take the last step back; false where there is none. */
  restore() {
    const step = this.steps.pop();
    for (const [tile, left, top] of step?.values() ?? []) this.context.putImageData(tile, left, top);
    return Boolean(step);
  }

  /** Say why a mask file was not taken. The form is refused until something is painted, or the button is pressed. */
  refuse(text) {
    this.refusal = text;
    this.message.textContent = text;
    this.message.className = text ? "error" : "help";
    this.without.hidden = !text;
    this.again.hidden = true;
    this.publish(this.mask ?? null);
  }

  /** What is painted, apart from the canvas. */
  copy() {
    const made = new OffscreenCanvas(this.canvas.width, this.canvas.height);
    made.getContext("2d").drawImage(this.canvas, 0, 0);
    return made;
  }

  /** Say that the mask was painted on another picture, and offer it for this one. */
  offer() {
    if (!this.aside) return;
    const same = this.aside.width === this.canvas.width && this.aside.height === this.canvas.height;
    this.message.textContent = "You painted the mask on the picture before; it is not used for this one.";
    this.again.textContent = same ? "Use it here too" : "Stretch it over this picture";
    this.again.hidden = false;
  }

  useAgain() {
    const { width, height } = this.canvas;
    this.save(0, 0, width, height, true);
    this.context.globalCompositeOperation = "source-over";
    this.context.clearRect(0, 0, width, height);
    this.context.drawImage(this.aside, 0, 0, width, height);
    this.context.globalCompositeOperation = "source-in"; // not stripes that were stretched too
    this.context.fillStyle = this.stripes();
    this.context.fillRect(0, 0, width, height);
    this.context.globalCompositeOperation = "source-over";
    this.changed();
  }

  changed() {
    this.aside = null;
    this.refuse("");
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
    this.keep(blob);
    this.publish(blob && new File([blob], "mask.png", { type: "image/png" }));
  }

  /** Keep what is painted for the case that the page is loaded again before it is sent. */
  async keep(blob) {
    const image = this.shown;
    const bytes = blob ? new Uint8Array(await blob.arrayBuffer()) : null;
    try {
      if (!bytes) sessionStorage.removeItem(KEPT);
      else sessionStorage.setItem(KEPT, JSON.stringify({ image, mask: btoa(Array.from(bytes, (each) => String.fromCharCode(each)).join("")) }));
    } catch { /* storage is full or off */ }
  }

  /** Paint again what was painted on this image before the page was loaded again. */
  async recall(url) {
    let kept = null;
    try { kept = JSON.parse(sessionStorage.getItem(KEPT) || "null"); } catch { /* storage is off */ }
    if (kept?.image !== url) return false;
    const file = new File([Uint8Array.from(atob(kept.mask), (each) => each.charCodeAt(0))], "mask.png", { type: "image/png" });
    const place = URL.createObjectURL(file);
    try {
      this.draw(await loaded(place));
    } finally {
      URL.revokeObjectURL(place);
    }
    this.painted = true;
    this.aside = null;
    this.publish(file);
    return true;
  }

  publish(file) {
    const name = this.getAttribute("name");
    const data = new FormData();
    this.mask = file;
    if (this.refusal) data.append(`${name}.refused`, this.refusal);
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
    await new Promise((resolve) => setTimeout(resolve)); // a form does not submit while it reports that it does
    this.form.requestSubmit(event.submitter ?? undefined);
  }
}

customElements.define("mask-canvas", MaskCanvas);
