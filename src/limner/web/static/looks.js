// A search by an image that is chosen, dropped or pasted, and by any colour.

const form = document.querySelector("form#looks");
const box = document.querySelector(".looks");
const words = document.querySelector(".narrowing input[type=search]");

function send(files) {
  const file = [...files ?? []].find((each) => each.type.startsWith("image/"));
  if (!file || !form.elements["like.file"]) return false;
  const holder = new DataTransfer();
  holder.items.add(file);
  form.elements["like.file"].files = holder.files;
  submit();
  return true;
}

// Words that are typed but not searched yet are kept.
function typed(address) {
  if (words?.value.trim()) address.searchParams.set(words.name, words.value);
  else if (words) address.searchParams.delete(words.name);
  return address;
}

function submit() {
  if (words) {
    const field = form.elements[words.name] ?? form.appendChild(Object.assign(document.createElement("input"), { type: "hidden", name: words.name }));
    field.value = words.value;
    field.disabled = !words.value.trim();
  }
  box.classList.add("busy");
  box.querySelector(".sent label span").textContent = "Looking …";
  form.requestSubmit();
}

if (form) {
  box.classList.add("scripted");
  const pick = box.querySelector(".any");
  pick.hidden = false;
  pick.querySelector("input").addEventListener("change", (event) => {
    const address = new URL(form.dataset.here, location.href);
    address.searchParams.set("colour", event.target.value);
    location.assign(typed(address));
  });
  for (const link of document.querySelectorAll(".looks a, .sample a")) {
    link.addEventListener("click", () => { link.href = typed(new URL(link.href)).href; });
  }
  form.elements["like.file"]?.addEventListener("change", (event) => event.target.files.length && submit());
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    box.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || box.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    box.classList.remove("over");
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    send(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (send(event.clipboardData?.files)) event.preventDefault();
  });
  addEventListener("pageshow", () => box.classList.remove("busy"));
}
