// <virtual-gallery>: all images of a query as one page that scrolls smoothly, whatever their number.
//
// The page of the server is a list of links with check boxes. This element takes its place with a spacer of the full
// height and a pool of rows, which are filled from the middle of the window outward. A cell shows the mean colour of its
// image at once, and the image when scrolling is slow enough for the server. One cell is a Tab stop; arrows move it.
const LEAST_CELL = 152;
const LEAST_CELL_PHONE = 136;
const GAP = 8;
const OVERSCAN = 2; // windows above and below
const FAST = 6000; // pixels per second above which no image is loaded
const BATCH = 200; // tiles described by one call
const KEPT = 4000; // descriptions kept
const DRAG = 6; // pixels that the mouse moves before a frame is drawn around images
const EDGE = 40; // pixels from the edge of the window in which drawing a frame scrolls
const LOOK = 15000; // milliseconds between two looks for new images

class VirtualGallery extends HTMLElement {
  connectedCallback() {
    if (this.ids) return;
    this.form = this.closest("form");
    this.bar = this.form?.querySelector(".chosen");
    this.tiles = new Map();
    this.selected = new Set();
    this.lines = new Map();
    this.free = [];
    this.current = Number(this.dataset.start) || 0;
    this.anchor = null;
    this.side = devicePixelRatio > 1.5 ? 512 : 160;
    for (const cell of this.querySelectorAll(".cell")) {
      const { id, sha256, stars, favourite } = cell.dataset;
      this.tiles.set(Number(id), { id: Number(id), sha256, stars: Number(stars), favourite: favourite === "1", day: cell.dataset.day, prompt: cell.querySelector("img").alt });
      if (cell.querySelector("input").checked) this.selected.add(Number(id));
    }
    this.load();
  }

  disconnectedCallback() {
    this.stop?.abort();
  }

  async load() {
    let found;
    try {
      const response = await fetch(this.dataset.ids);
      if (!response.ok) return; // the page of the server stays
      found = await response.json();
    } catch {
      return;
    }
    if (!this.isConnected) return;
    this.ids = new Int32Array(found.ids.length);
    this.places = new Map();
    let last = 0;
    found.ids.forEach((step, place) => { last += step; this.ids[place] = last; });
    this.colours = found.colours;
    this.build();
  }

  build() {
    this.stop = new AbortController();
    const signal = this.stop.signal;
    this.box = document.createElement("div");
    this.box.className = "virtual";
    this.box.setAttribute("role", "list");
    this.box.setAttribute("aria-label", "Images");
    this.replaceChildren(this.box);
    document.querySelector(".pager")?.remove();
    this.measure();
    this.restore();
    this.render();
    this.select();
    addEventListener("scroll", () => this.scrolled(), { passive: true, signal });
    addEventListener("resize", () => { this.keepMiddle(); }, { signal });
    addEventListener("pagehide", () => this.remember(), { signal });
    this.box.addEventListener("click", (event) => this.clicked(event), { signal });
    this.box.addEventListener("pointerdown", (event) => this.beginFrame(event), { signal });
    this.box.addEventListener("dragstart", (event) => event.preventDefault(), { signal });
    this.box.addEventListener("focusin", (event) => this.focused(event), { signal });
    this.box.addEventListener("keydown", (event) => this.pressed(event), { signal });
    document.addEventListener("keydown", (event) => this.acted(event), { signal });
    addEventListener("submit", (event) => this.stay(event), { signal });
    this.form?.addEventListener("formdata", (event) => this.fill(event.formData), { signal });
    this.bar?.querySelector("[data-action=clear]")?.addEventListener("click", () => this.clear(), { signal });
    const notice = document.getElementById("notice");
    if (notice) {
      const observer = new MutationObserver(() => this.refresh(notice.querySelector("[data-changed]")?.dataset.changed));
      observer.observe(notice, { childList: true });
      signal.addEventListener("abort", () => observer.disconnect());
    }
    const clock = setInterval(() => { if (!document.hidden) this.look(); }, LOOK);
    signal.addEventListener("abort", () => clearInterval(clock));
    this.dataset.ready = "";
  }

  // Layout ------------------------------------------------------------------------------------------------------------
  measure() {
    const width = this.clientWidth;
    const least = width < 600 ? LEAST_CELL_PHONE : LEAST_CELL;
    this.columns = Math.max(2, Math.floor((width + GAP) / (least + GAP)));
    this.cell = (width - GAP * (this.columns - 1)) / this.columns;
    this.step = this.cell + GAP;
    this.rows = Math.ceil(this.ids.length / this.columns);
    this.box.style.height = `${this.rows * this.step - GAP}px`;
    for (const line of [...this.lines.values(), ...this.free]) line.remove();
    this.lines.clear();
    this.free = [];
  }

  top() {
    return this.box.getBoundingClientRect().top + scrollY;
  }

  keepMiddle() {
    const place = Math.floor((scrollY - this.top()) / this.step) * this.columns;
    this.measure();
    if (place > 0) scrollTo(0, this.top() + Math.floor(place / this.columns) * this.step);
    this.render();
  }

  restore() {
    const key = `gallery:${location.href}`;
    const kind = performance.getEntriesByType("navigation")[0]?.type;
    const kept = kind === "navigate" && !sessionStorage.getItem("gallery:stay") ? null : JSON.parse(sessionStorage.getItem(key) ?? "null");
    sessionStorage.removeItem("gallery:stay");
    if (kept) {
      this.current = Math.min(kept.current, this.ids.length - 1);
      scrollTo(0, kept.top);
      if (kept.focus) requestAnimationFrame(() => this.focusPlace(this.current, true));
    } else if (this.current > 0) {
      this.current = Math.min(this.current, this.ids.length - 1);
      scrollTo(0, this.top() + Math.floor(this.current / this.columns) * this.step - 80);
    }
  }

  remember() {
    const kept = { top: scrollY, current: this.current, focus: this.box.contains(document.activeElement) };
    sessionStorage.setItem(`gallery:${location.href}`, JSON.stringify(kept));
  }

  /** After an erasure and its undo, the gallery stays where it was. */
  stay(event) {
    if (event.submitter?.dataset.action === "erase" || event.target.matches(".undoing")) sessionStorage.setItem("gallery:stay", "1");
  }

  scrolled() {
    const now = performance.now();
    const passed = now - (this.lastTime ?? 0);
    const speed = ((scrollY - (this.lastTop ?? scrollY)) / Math.max(passed, 1)) * 1000;
    this.fast = passed < 200 && Math.abs(speed) > FAST;
    // Rows ahead of fast scrolling matter more than those behind it.
    this.lead = this.fast ? Math.max(-OVERSCAN, Math.min(OVERSCAN, (speed * 0.2) / innerHeight)) : 0;
    this.lastTime = now;
    this.lastTop = scrollY;
    clearTimeout(this.calm);
    if (this.fast) this.calm = setTimeout(() => { this.fast = false; this.lead = 0; this.render(); }, 90);
    if (!this.waiting) {
      this.waiting = true;
      requestAnimationFrame(() => { this.waiting = false; this.render(); });
    }
  }

  /** Show the rows of the window and around it, those in its middle first. */
  render() {
    const view = innerHeight;
    const top = scrollY - this.top();
    const lead = this.lead ?? 0;
    const first = Math.max(0, Math.floor((top - (OVERSCAN - lead) * view) / this.step));
    const last = Math.min(this.rows - 1, Math.ceil((top + (OVERSCAN + 1 + lead) * view) / this.step));
    const middle = (top + view / 2) / this.step;
    for (const [row, line] of this.lines) {
      if ((row < first || row > last) && !line.contains(document.activeElement)) {
        this.lines.delete(row);
        for (const cell of line.children) this.empty(cell);
        line.hidden = true;
        this.free.push(line);
      }
    }
    const rows = [];
    for (let row = first; row <= last; row += 1) rows.push(row);
    rows.sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
    for (const row of rows) if (!this.lines.has(row)) this.place(row);
    if (this.fast) return;
    const wanted = [];
    for (const row of rows) {
      for (const cell of this.lines.get(row).children) {
        if (cell.hidden || cell.shown) continue;
        const tile = this.tiles.get(this.ids[cell.place]);
        if (tile) this.show(cell, tile);
        else wanted.push(this.ids[cell.place]);
      }
    }
    if (wanted.length) this.describe(wanted.slice(0, BATCH));
  }

  place(row) {
    const line = this.free.pop() ?? this.line();
    line.hidden = false;
    line.style.height = `${this.cell}px`;
    line.style.transform = `translateY(${row * this.step}px)`;
    line.style.gridTemplateColumns = `repeat(${this.columns}, 1fr)`;
    [...line.children].forEach((cell, column) => this.assign(cell, row * this.columns + column));
    // The order of the elements is that of the images, for readers. A row that may hold the focus is never moved.
    const next = [...this.lines.keys()].filter((each) => each > row).sort((a, b) => a - b)[0];
    const after = next === undefined ? this.box.querySelector(":scope > .frame") : this.lines.get(next);
    if (line.nextSibling !== after) this.box.insertBefore(line, after);
    this.lines.set(row, line);
  }

  line() {
    const line = document.createElement("div");
    line.className = "line";
    line.setAttribute("role", "presentation");
    for (let column = 0; column < this.columns; column += 1) {
      const cell = document.createElement("div");
      cell.className = "cell";
      cell.setAttribute("role", "listitem");
      const link = document.createElement("a");
      const image = document.createElement("img");
      image.decoding = "async";
      link.append(image);
      const pick = document.createElement("label");
      pick.className = "pick";
      const box = document.createElement("input");
      box.type = "checkbox";
      box.tabIndex = -1;
      pick.append(box);
      const marks = document.createElement("span");
      marks.className = "marks";
      const day = document.createElement("span");
      day.className = "day";
      day.hidden = true;
      cell.append(link, pick, day, marks);
      Object.assign(cell, { link, image, box, marks, day });
      line.append(cell);
    }
    this.box.append(line);
    return line;
  }

  assign(cell, place) {
    cell.hidden = place >= this.ids.length;
    if (cell.hidden) return;
    const id = this.ids[place];
    cell.place = place;
    const colour = this.colours.slice(3 * place, 3 * place + 3);
    cell.style.backgroundColor = colour === "---" ? "" : `#${colour}`;
    cell.setAttribute("aria-setsize", this.ids.length);
    cell.setAttribute("aria-posinset", place + 1);
    cell.link.href = `${this.dataset.images}/${id}${this.dataset.query}`;
    cell.link.tabIndex = place === this.current ? 0 : -1;
    cell.image.alt = `image ${id}`;
    cell.box.setAttribute("aria-label", `Select image ${id}`);
    this.mark(cell);
  }

  empty(cell) {
    cell.shown = false;
    cell.image.removeAttribute("src");
    cell.marks.hidden = true;
    cell.day.hidden = true;
  }

  show(cell, tile) {
    cell.shown = true;
    cell.image.alt = tile.prompt;
    cell.image.src = `${this.dataset.thumbnails}/${this.side}/${tile.sha256}.webp`;
    cell.box.setAttribute("aria-label", `Select: ${tile.prompt}`);
    this.mark(cell);
  }

  mark(cell) {
    const id = this.ids[cell.place];
    const tile = this.tiles.get(id);
    const chosen = this.selected.has(id);
    cell.classList.toggle("selected", chosen);
    cell.box.checked = chosen;
    const texts = [];
    if (tile?.favourite) texts.push("♥");
    if (tile?.stars) texts.push(`★${tile.stars}`);
    cell.marks.hidden = texts.length === 0;
    cell.marks.textContent = texts.join(" ");
    const before = cell.place ? this.tiles.get(this.ids[cell.place - 1])?.day : "";
    cell.day.hidden = !("days" in this.dataset) || !tile || before === undefined || before === tile.day;
    cell.day.textContent = tile?.day ?? "";
    const spoken = [tile?.favourite ? "favourite" : "", tile?.stars ? `${tile.stars} stars` : ""].filter(Boolean).join(", ");
    if (tile) cell.image.alt = spoken ? `${tile.prompt} (${spoken})` : tile.prompt;
  }

  async describe(ids) {
    if (this.asking) { this.again = true; return; }
    this.asking = true;
    this.again = false;
    let found = [];
    try {
      const response = await fetch(`${this.dataset.tiles}?ids=${ids.join(",")}`);
      if (response.ok) found = await response.json();
    } catch { /* the next scrolling tries again */ }
    this.asking = false;
    for (const tile of found) this.tiles.set(tile.id, tile);
    for (const id of this.tiles.keys()) {
      if (this.tiles.size <= KEPT) break;
      this.tiles.delete(id);
    }
    if (found.length || this.again) this.render();
  }

  /** Say how many images are newer than those shown. They are not inserted, because all others would move. */
  async look() {
    const place = document.getElementById("fresh");
    if (!place) return;
    const newest = this.ids.reduce((most, id) => Math.max(most, id), 0);
    const address = new URL(this.dataset.newer, location);
    address.searchParams.set("after", newest);
    let count = 0;
    try {
      const response = await fetch(address);
      if (response.ok) count = await response.json();
    } catch { /* the next look tries again */ }
    if (!count) return place.replaceChildren();
    const link = document.createElement("a");
    link.className = "button on";
    link.href = `${this.dataset.images}${this.dataset.query}`;
    link.textContent = count === 1 ? "1 new image" : `${count} new images`;
    place.replaceChildren(link);
  }

  /** Read some tiles again, after they were marked. */
  async refresh(changed) {
    const ids = (changed ?? "").split(" ").filter(Boolean).map(Number);
    for (const id of ids) this.tiles.delete(id);
    for (const cell of this.cells()) if (ids.includes(this.ids[cell.place])) cell.shown = false;
    if (ids.length) this.render();
  }

  * cells() {
    for (const line of this.lines.values()) for (const cell of line.children) if (!cell.hidden) yield cell;
  }

  // Selection ---------------------------------------------------------------------------------------------------------
  select() {
    for (const cell of this.cells()) this.mark(cell);
    this.box.classList.toggle("choosing", this.selected.size > 0);
    if (!this.bar) return;
    this.bar.hidden = this.selected.size === 0;
    this.bar.querySelector(".chosen-count").textContent = `${this.selected.size.toLocaleString("en")} selected`;
    this.bar.querySelector("[data-action=compare]").disabled = this.selected.size < 2 || this.selected.size > 4;
    this.bar.querySelector("[data-action=clear]").hidden = false;
  }

  toggle(place, chosen = !this.selected.has(this.ids[place])) {
    this.selected[chosen ? "add" : "delete"](this.ids[place]);
    this.anchor = place;
    this.select();
  }

  range(place) {
    const from = this.anchor ?? this.current;
    for (let each = Math.min(from, place); each <= Math.max(from, place); each += 1) this.selected.add(this.ids[each]);
    this.select();
  }

  clear() {
    this.selected.clear();
    this.anchor = null;
    this.select();
  }

  clicked(event) {
    const cell = event.target.closest(".cell");
    if (!cell) return;
    if (event.target === cell.box) {
      if (event.shiftKey) this.range(cell.place);
      else this.toggle(cell.place, cell.box.checked);
    } else if (event.target.closest("a") && event.shiftKey) {
      event.preventDefault();
      this.range(cell.place);
    } else if (event.target.closest("a")) {
      this.remember();
    }
  }

  /** Dragging with the mouse draws a frame that selects the images in it; with Shift or Ctrl it adds to the selection. */
  beginFrame(event) {
    if (event.pointerType !== "mouse" || event.button !== 0 || event.target.closest(".pick")) return;
    const box = this.box.getBoundingClientRect();
    const stop = new AbortController();
    const from = { x: event.clientX - box.left, y: event.clientY - box.top };
    const before = new Set(event.shiftKey || event.ctrlKey || event.metaKey ? this.selected : []);
    const earlier = new Set(this.selected);
    let pointer = event;
    let frame = null;
    let clock = null;
    const draw = () => {
      const now = this.box.getBoundingClientRect();
      const x = Math.max(0, Math.min(now.width, pointer.clientX - now.left));
      const y = Math.max(0, Math.min(now.height, pointer.clientY - now.top));
      const [left, right, top, bottom] = [Math.min(from.x, x), Math.max(from.x, x), Math.min(from.y, y), Math.max(from.y, y)];
      Object.assign(frame.style, { left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px` });
      this.selected = new Set(before);
      for (const place of this.inside(left, right, top, bottom)) this.selected.add(this.ids[place]);
      this.select();
    };
    const scroll = () => {
      const bar = this.bar && !this.bar.hidden ? this.bar.offsetHeight : 0;
      const down = pointer.clientY - (innerHeight - bar - EDGE);
      const up = EDGE + (document.querySelector(".bar")?.offsetHeight ?? 0) - pointer.clientY;
      if (down > 0 || up > 0) { scrollBy(0, down > 0 ? down / 3 : -up / 3); draw(); }
      clock = requestAnimationFrame(scroll);
    };
    const end = () => {
      stop.abort();
      cancelAnimationFrame(clock);
      frame?.remove();
    };
    addEventListener("pointermove", (moved) => {
      pointer = moved;
      if (!frame) {
        if (Math.hypot(moved.clientX - event.clientX, moved.clientY - event.clientY) < DRAG) return;
        frame = document.createElement("div");
        frame.className = "frame";
        this.box.append(frame);
        this.anchor = null;
        scroll();
      }
      draw();
    }, { signal: stop.signal });
    addEventListener("pointerup", () => {
      if (frame) {
        const swallow = (click) => { click.preventDefault(); click.stopPropagation(); };
        addEventListener("click", swallow, { capture: true, once: true });
        setTimeout(() => removeEventListener("click", swallow, { capture: true }));
      }
      end();
    }, { signal: stop.signal });
    addEventListener("pointercancel", end, { signal: stop.signal });
    addEventListener("keydown", (key) => {
      if (key.key !== "Escape" || !frame) return;
      key.stopPropagation();
      end();
      this.selected = earlier;
      this.select();
    }, { signal: stop.signal, capture: true });
  }

  /** The places of the images that touch a rectangle of the gallery. */
  * inside(left, right, top, bottom) {
    const [first, last] = [Math.max(0, Math.ceil((top - this.cell) / this.step)), Math.min(this.rows - 1, Math.floor(bottom / this.step))];
    const [from, to] = [Math.max(0, Math.ceil((left - this.cell) / this.step)), Math.min(this.columns - 1, Math.floor(right / this.step))];
    for (let row = first; row <= last; row += 1) {
      for (let column = from; column <= to; column += 1) {
        const place = row * this.columns + column;
        if (place < this.ids.length) yield place;
      }
    }
  }

  /** The images that an action applies to: the selected ones, or else the one with the focus. */
  fill(data) {
    data.delete("id");
    const ids = this.selected.size ? [...this.selected] : this.box.contains(document.activeElement) ? [this.ids[this.current]] : [];
    data.set("ids", ids.join(" "));
  }

  // Keyboard ----------------------------------------------------------------------------------------------------------
  focused(event) {
    const cell = event.target.closest(".cell");
    if (cell) this.moveTo(cell.place);
  }

  moveTo(place) {
    this.current = place;
    for (const cell of this.cells()) cell.link.tabIndex = cell.place === place ? 0 : -1;
  }

  focusPlace(place, still = false) {
    this.moveTo(place);
    const row = Math.floor(place / this.columns);
    const top = this.top() + row * this.step;
    const head = document.querySelector(".bar")?.offsetHeight ?? 0;
    const foot = this.bar && !this.bar.hidden ? this.bar.offsetHeight + 16 : 0;
    if (!still && top - GAP < scrollY + head) scrollTo(0, top - head - GAP);
    else if (!still && top + this.step > scrollY + innerHeight - foot) scrollTo(0, top + this.step - innerHeight + foot);
    this.render();
    const cell = [...(this.lines.get(row)?.children ?? [])].find((each) => each.place === place);
    cell?.link.focus({ preventScroll: true });
  }

  pressed(event) {
    const page = Math.max(1, Math.floor(innerHeight / this.step) - 1) * this.columns;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
    if (event.key in steps && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      const from = this.current;
      const place = Math.max(0, Math.min(this.ids.length - 1, from + steps[event.key]));
      if (event.shiftKey) {
        this.anchor ??= from;
        this.range(place);
      } else {
        this.anchor = null;
      }
      this.focusPlace(place);
    } else if (event.key === " " && event.target.closest("a")) {
      event.preventDefault();
      this.toggle(this.current);
    } else if (event.key === "a" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.ids.forEach((id) => this.selected.add(id));
      this.select();
    }
  }

  /** Keys that act on the selected images, or on the one with the focus. */
  acted(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), textarea, select, summary")) return;
    const acts = this.selected.size || this.box.contains(event.target);
    if (event.key === "Escape" && this.selected.size) this.clear();
    else if (!acts || !this.bar) return;
    else if (event.key === "f") this.bar.querySelector("[data-action=favourite]").click();
    else if (event.key === "Delete") this.bar.querySelector("[data-action=erase]")?.click();
    else if (event.key === "c") this.bar.querySelector("[data-action=compare]").click();
    else if (/^[0-5]$/.test(event.key)) {
      this.bar.querySelector("select[name=stars]").value = event.key;
      this.bar.querySelector("[data-action=stars]").click();
    }
  }
}

if ("scrollRestoration" in history) history.scrollRestoration = "manual";
customElements.define("virtual-gallery", VirtualGallery);
