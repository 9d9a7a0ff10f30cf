/* What the book's widgets share: elements, labelled controls, and mounting. */
(function () {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (value === false) continue;
      node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children);
    return node;
  }

  const element = (tag, attributes = {}, ...children) =>
    fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);

  /* A <select>; options are [value, text] pairs. */
  function select(label, options, value, onChange) {
    const input = element("select");
    for (const [key, text] of options) {
      const selected = String(key) === String(value);
      input.append(element("option", { value: key, selected }, text));
    }
    input.addEventListener("change", () => onChange(input.value));
    const node = element("label", { class: "widget-control" }, element("span", {}, label), input);
    return { node, input };
  }

  /* A slider with its value beside the label; `text` writes the value out. */
  function slider(label, { min, max, step, value, text }, onInput) {
    const input = element("input", { type: "range", min, max, step, value });
    // Not <output>, which is read out at every change: the slider itself says its value.
    const shown = element("span", { class: "widget-value", "aria-hidden": "true" });
    const show = (to) => {
      shown.textContent = text(to);
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    // The handle goes to the nearest step; what is said is the value itself.
    const set = (to) => {
      input.value = to;
      show(to);
    };
    input.addEventListener("input", () => {
      show(Number(input.value));
      onInput(Number(input.value));
    });
    show(value);
    const name = element("span", {}, label, " ", shown);
    return { node: element("label", { class: "widget-control" }, name, input), input, set };
  }

  function checkbox(label, checked, onChange) {
    const input = element("input", { type: "checkbox", checked });
    input.addEventListener("change", () => onChange(input.checked));
    return { node: element("label", { class: "widget-check" }, input, " ", label), input };
  }

  function button(label, onClick) {
    const node = element("button", { type: "button" }, label);
    node.addEventListener("click", onClick);
    return { node };
  }

  /* Call `move` with the pointer's events until it is let go, wherever it goes. */
  function drag(node, { pointerId }, move) {
    node.setPointerCapture(pointerId);
    node.addEventListener("pointermove", move);
    const release = () => node.removeEventListener("pointermove", move);
    node.addEventListener("lostpointercapture", release, { once: true });
  }

  /* A number with two decimals and a real minus sign. */
  const number = (value) => value.toFixed(2).replace(/^-(0\.00)$/, "$1").replace("-", "−");

  /* Build each widget of the page. What stands in the page, a still picture and its
     caption, is kept: print shows it, and it stays if the widget cannot be built. */
  function mount(selector, label, build) {
    for (const root of document.querySelectorAll(selector)) {
      const name = { role: "group", "aria-label": label };
      const body = element("div", { class: "widget-body", ...name });
      build(body, root.dataset);
      const still = element("div", { class: "widget-still" }, ...root.childNodes);
      root.append(still, body);
      root.classList.add("widget");
      root.dataset.ready = "true";
    }
  }

  window.Widget = { element, svg, select, slider, checkbox, button, drag, number, mount };
})();
