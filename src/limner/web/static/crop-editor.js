// A box on an image that is moved and resized by pointer or arrow keys. The form's number fields hold its pixels.

const CORNERS = { nw: "top left", ne: "top right", sw: "bottom left", se: "bottom right" };
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const LEAST = 64;

class CropEditor extends HTMLElement {
  connectedCallback() {
    this.size = [Number(this.dataset.width), Number(this.dataset.height)];
    this.least = Math.min(LEAST, ...this.size);
    this.fields = ["left", "top", "width", "height"].map((name) => this.closest("form").elements[name]);
    this.box = document.createElement("div");
    this.box.className = "crop-box";
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "group");
    this.box.setAttribute("aria-label", "Crop: arrow keys move it, its corners resize it");
    for (const [at, name] of Object.entries(CORNERS)) {
      const corner = document.createElement("button");
      corner.type = "button";
      corner.dataset.at = at;
      corner.setAttribute("aria-label", `Resize from the ${name}; arrow keys`);
      this.box.append(corner);
    }
    const area = document.createElement("div"), clip = document.createElement("div");
    this.shade = document.createElement("div");
    [area.className, clip.className, this.shade.className] = ["crop-area", "crop-clip", "crop-shade"];
    clip.append(this.shade);
    area.append(clip, this.box);
    this.area = area;
    this.append(area);
    this.enlarge();
    addEventListener("resize", () => this.enlarge());
    for (const field of this.fields) field.addEventListener("input", () => this.draw());
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("pointerdown", (event) => this.grab(event));
    this.draw();
  }

  /** Left, top, width and height as they are typed. */
  get rect() { return this.fields.map((field) => Number(field.value) || 0); }

  /** Show a small image as large as the window allows. */
  enlarge() {
    const [w, h] = this.size, style = getComputedStyle(this);
    const room = this.parentElement.clientWidth - 2 * parseFloat(getComputedStyle(this.parentElement).paddingLeft)
      - 2 * parseFloat(style.paddingLeft);
    const image = this.querySelector("img");
    image.style.width = `${Math.floor(Math.min(room, (0.7 * innerHeight * w) / h, 3 * w))}px`;
  }

  /** Draw the box; the rest of the page is untouched. */
  draw() {
    const [left, top, width, height] = this.rect;
    const [w, h] = this.size;
    const place = {
      left: `${(100 * left) / w}%`, top: `${(100 * top) / h}%`, width: `${(100 * width) / w}%`, height: `${(100 * height) / h}%`,
    };
    for (const part of [this.box, this.shade]) Object.assign(part.style, place);
  }

  /** Move the box, or its corner, from a rectangle by so many pixels. */
  move(from, at, dx, dy) {
    const [w, h] = this.size;
    let [left, top, width, height] = from;
    const limit = (value, low, high) => Math.round(Math.min(high, Math.max(low, value)));
    if (!at) {
      left = limit(left + dx, 0, w - width);
      top = limit(top + dy, 0, h - height);
    } else {
      const right = left + width, bottom = top + height;
      if (at.includes("w")) { left = limit(left + dx, 0, right - this.least); width = right - left; }
      else width = limit(width + dx, this.least, w - left);
      if (at.includes("n")) { top = limit(top + dy, 0, bottom - this.least); height = bottom - top; }
      else height = limit(height + dy, this.least, h - top);
    }
    [left, top, width, height].forEach((value, index) => { this.fields[index].value = value; });
    this.draw();
  }

  key(event) {
    const way = KEYS[event.key];
    if (!way) return;
    event.preventDefault();
    const far = event.shiftKey ? 1 : 8;
    this.move(this.rect, event.target.dataset.at, way[0] * far, way[1] * far);
  }

  grab(event) {
    const at = event.target.dataset.at, from = this.rect, scale = this.size[0] / this.area.clientWidth;
    const [x, y] = [event.clientX, event.clientY];
    this.box.setPointerCapture(event.pointerId);
    const drag = (moved) => this.move(from, at, (moved.clientX - x) * scale, (moved.clientY - y) * scale);
    const end = () => { this.box.removeEventListener("pointermove", drag); };
    this.box.addEventListener("pointermove", drag);
    for (const kind of ["pointerup", "pointercancel"]) this.box.addEventListener(kind, end, { once: true });
  }
}

customElements.define("crop-editor", CropEditor);
