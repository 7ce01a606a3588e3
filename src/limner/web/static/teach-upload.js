// Sends the images of the step Images one by one, with progress, and again after a broken connection. An image that
// is stored already is not sent. Without this script the form sends all chosen files at once.

const AT_ONCE = 3;
const LARGE = 2 ** 20; // of a larger file, a part may have arrived before the page was closed
const PAUSES = [1, 2, 4, 8, 15, 30];
const form = document.getElementById("upload");
const list = document.getElementById("uploads");
const photos = document.getElementById("photos");
const limit = Number(form.dataset.limit);
const waiting = [];
let active = 0;

form.classList.add("scripted");
for (const input of form.querySelectorAll("input[type=file]")) {
  input.addEventListener("change", () => take(input));
  take(input); // chosen before this script was loaded
}
form.addEventListener("submit", (event) => event.preventDefault());

for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    form.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) form.classList.remove("over"); });
document.addEventListener("drop", async (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  form.classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const plain = [...event.dataTransfer.files];
  add(entries.some((entry) => entry.isDirectory) ? (await Promise.all(entries.map(filesIn))).flat() : plain);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) { event.preventDefault(); add(event.clipboardData.files); }
});
addEventListener("beforeunload", (event) => { if (active || waiting.length) event.preventDefault(); });
addEventListener("online", () => { for (const wake of [...sleepers]) wake(); });

/** All files of a dropped file or folder. */
async function filesIn(entry) {
  if (entry.isFile) return new Promise((done) => entry.file((file) => done([file]), () => done([])));
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done) => reader.readEntries(done, () => done([])));
    if (!some.length) break;
    found.push(...some);
  }
  const shown = found.filter((each) => !each.name.startsWith("."));
  return (await Promise.all(shown.map(filesIn))).flat();
}

function take(input) {
  if (input.files.length) add(input.files);
  input.value = "";
}

function add(files) {
  for (const file of files) waiting.push({ file, row: rowOf(file) });
  next();
}

function next() {
  while (active < AT_ONCE && waiting.length) {
    active += 1;
    send(waiting.shift()).finally(() => { active -= 1; next(); });
  }
}

async function send(job) {
  const { file, row } = job;
  row.error("");
  if (file.size > limit) {
    return fail(job, `${file.name} has ${megabytes(file.size)} MB, and the limit is ${megabytes(limit)} MB; save a smaller copy`, false);
  }
  if (!file.size) return fail(job, `${file.name} is empty (0 bytes); copy it again`, false);
  const known = await alreadyStored(file);
  if (known) return show(job, known);
  for (let attempt = 0; ; attempt += 1) {
    const at = attempt || file.size > LARGE ? await received(file) : 0;
    const answer = at === null ? { status: 0, body: null } : await post(file, row, at);
    if (answer.status === 200) return show(job, answer.body);
    if (answer.status && answer.status < 500 && answer.status !== 429) {
      const { detail, remedy, title } = answer.body ?? {};
      return fail(job, [detail ?? title ?? `the server answered ${answer.status}`, remedy].filter(Boolean).join("; "), false);
    }
    if (attempt === PAUSES.length) return fail(job, `${file.name} could not be sent; check the connection`, true);
    row.note(`connection lost, trying again in ${PAUSES[attempt]} s`);
    await sleep(PAUSES[attempt]);
  }
}

/** What the server answers for a file that the account stored before; null if it has to be sent. */
async function alreadyStored(file) {
  if (file.name.toLowerCase().endsWith(".zip")) return null;
  try {
    const body = new URLSearchParams({ sha256: await hashOf(file), name: file.name });
    const answer = await fetch(form.dataset.known, { method: "POST", body, headers: { Accept: "application/json" } });
    return answer.status === 200 ? await answer.json() : null;
  } catch {
    return null;
  }
}

/** A name for a file that is the same after the page was closed. */
function uploadOf(file) {
  const words = JSON.stringify([file.name, file.size, file.lastModified]);
  return hex(sha256(new TextEncoder().encode(words))).slice(0, 32);
}

/** How many bytes of a file the server has, so that only the rest is sent; null if it does not answer. */
async function received(file) {
  try {
    const answer = await fetch(`${form.dataset.parts}/${uploadOf(file)}`, { headers: { Accept: "application/json" } });
    const { bytes } = answer.ok ? await answer.json() : { bytes: 0 };
    return bytes < file.size ? bytes : 0;
  } catch {
    return null;
  }
}

function post(file, row, at) {
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${form.dataset.parts}/${uploadOf(file)}?at=${at}&total=${file.size}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-File-Name", encodeURIComponent(file.name));
    request.upload.addEventListener("progress", (event) => row.progress(at + event.loaded, at + event.total));
    request.addEventListener("load", () => {
      let body = null;
      try { body = JSON.parse(request.responseText); } catch { /* not JSON: a proxy's page */ }
      done({ status: request.status, body });
    });
    for (const kind of ["error", "abort", "timeout"]) request.addEventListener(kind, () => done({ status: 0, body: null }));
    request.send(at ? file.slice(at) : file);
  });
}

function show(job, answer) {
  for (const { id, html } of answer.tiles) {
    const old = document.getElementById(id);
    const holder = document.createElement("template");
    holder.innerHTML = html.trim();
    const tile = holder.content.firstElementChild;
    if (old) old.replaceWith(tile); else place(tile);
    window.htmx?.process(tile);
  }
  if (answer.problems.length) job.row.problems(answer.problems); else job.row.remove();
  document.getElementById("count").textContent = photos.querySelectorAll(".photo:not(.gone)").length;
}

function fail(job, text, again) {
  job.row.error(text, again ? () => { waiting.push(job); next(); } : null);
}

const sleepers = new Set();
function sleep(seconds) {
  return new Promise((done) => {
    const wake = () => { clearTimeout(timer); sleepers.delete(wake); done(); };
    const timer = setTimeout(wake, seconds * 1000);
    sleepers.add(wake);
  });
}

/** The line of a file in the list of uploads. */
function rowOf(file) {
  const item = document.createElement("li");
  const name = element("span", "name", file.name);
  const status = element("span", "note", "waiting");
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", file.name);
  bar.max = 1;
  bar.value = 0;
  item.append(name, status, bar);
  list.append(item);
  const clear = () => { for (const old of item.querySelectorAll(".error, button")) old.remove(); };
  const end = (texts, again) => {
    clear();
    bar.remove();
    status.textContent = "";
    for (const text of texts) item.append(element("p", "error", text));
    const button = element("button", "", again ? "Try again" : "Dismiss");
    button.type = "button";
    button.addEventListener("click", again ? () => { item.append(bar); again(); } : () => item.remove());
    item.insertBefore(button, item.querySelector(".error"));
  };
  return {
    remove: () => item.remove(),
    note: (text) => { status.textContent = text; },
    progress: (done, total) => { bar.value = total ? done / total : 0; status.textContent = done < total ? `${Math.round((100 * done) / total)} %` : "checking"; },
    error: (text, again) => { if (text) end([text], again); else { clear(); status.textContent = "sending"; } },
    problems: (texts) => end(texts, null),
  };
}

/** Put a tile among the others, by the names of their files. */
function place(tile) {
  const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const name = (each) => each.getAttribute("aria-label") ?? "";
  const after = [...photos.querySelectorAll("article[aria-label]")].find((each) => order.compare(name(each), name(tile)) > 0);
  photos.insertBefore(tile, after ?? null);
}

function element(tag, name, text) {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

function megabytes(bytes) {
  return Math.ceil(bytes / 2 ** 20);
}

/** SHA-256 of a file in hexadecimal digits. Browsers have no crypto.subtle on plain http beyond this machine. */
async function hashOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const digest = globalThis.crypto?.subtle ? new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)) : sha256(bytes);
  return hex(digest);
}

function hex(bytes) {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** SHA-256 (FIPS 180-4) of bytes. */
export function sha256(bytes) {
  const primes = [];
  for (let n = 2; primes.length < 64; n += 1) if (primes.every((prime) => n % prime)) primes.push(n);
  const fraction = (value) => Math.floor((value - Math.floor(value)) * 2 ** 32) >>> 0;
  const k = Uint32Array.from(primes, (prime) => fraction(Math.cbrt(prime)));
  const hash = Uint32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));
  const padded = new Uint8Array((((bytes.length + 8) >> 6) + 1) << 6);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, (bytes.length << 3) >>> 0);
  const w = new Uint32Array(64);
  const turn = (x, n) => (x >>> n) | (x << (32 - n));
  for (let at = 0; at < padded.length; at += 64) {
    for (let i = 0; i < 16; i += 1) w[i] = view.getUint32(at + 4 * i);
    for (let i = 16; i < 64; i += 1) {
      const a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)) + w[i - 7] + (turn(b, 17) ^ turn(b, 19) ^ (b >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = hash;
    for (let i = 0; i < 64; i += 1) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + k[i] + w[i]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => { hash[i] += value; });
  }
  const out = new DataView(new ArrayBuffer(32));
  hash.forEach((value, i) => out.setUint32(4 * i, value));
  return new Uint8Array(out.buffer);
}
