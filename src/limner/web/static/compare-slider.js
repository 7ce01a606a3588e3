// <compare-slider>: two images on top of each other, and a slider for where the second begins.
class CompareSlider extends HTMLElement {
  connectedCallback() {
    const [, second] = this.querySelectorAll("img");
    if (!second || this.querySelector("input")) return;
    const edge = document.createElement("span");
    edge.className = "edge";
    const slider = document.createElement("input");
    slider.type = "range";
    slider.min = 0;
    slider.max = 100;
    slider.step = 1;
    slider.value = 50;
    slider.setAttribute("aria-label", "How much of the first image is shown");
    const show = () => {
      second.style.clipPath = `inset(0 0 0 ${slider.value}%)`;
      edge.style.left = `${slider.value}%`;
      slider.setAttribute("aria-valuetext", `${slider.value} percent`);
    };
    slider.addEventListener("input", show);
    // Dragging moves the edge to the pointer; the thumb of a range input would lag behind it at the sides.
    this.addEventListener("pointermove", (event) => {
      if (event.buttons !== 1) return;
      const box = this.getBoundingClientRect();
      slider.value = ((event.clientX - box.left) / box.width) * 100;
      show();
    });
    this.append(edge, slider);
    this.classList.add("ready");
    show();
  }
}

customElements.define("compare-slider", CompareSlider);
