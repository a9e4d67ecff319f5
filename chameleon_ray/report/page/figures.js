// Draws the figures of a page from the data in it, with Observable Plot. Python declares the marks
// and their options; nothing here knows what a figure is about.
"use strict";
{
  const { data, figures } = JSON.parse(document.getElementById("data").textContent);
  const rows = data.map((one) => {
    const titles = Object.keys(one);
    const length = titles.length ? one[titles[0]].length : 0;
    return Array.from({ length }, (_, n) => Object.fromEntries(titles.map((t) => [t, one[t][n]])));
  });
  const element = (name, attributes, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const pointers = { x: "pointerX", y: "pointerY", xy: "pointer" };

  function drawn(figure, view, width) {
    const marks = view.marks.map(({ kind, data: number, options, pointer }) => {
      const given = structuredClone(options);
      return Plot[kind](rows[number], pointer ? Plot[pointers[pointer]](given) : given);
    });
    const picture = Plot.plot({ className: "plot", width, ariaLabel: figure.title,
      ariaDescription: figure.told, ...structuredClone(view.options), marks });
    picture.setAttribute("role", "img");
    for (const part of picture.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
    return picture;
  }

  function shown(value) {
    if (value === null) return "-";
    return typeof value === "number" ? value.toLocaleString("en", { maximumSignificantDigits: 5 })
      : value;
  }

  // A table of the figure's data, filled in where it is open.
  function table(figure) {
    const place = element("div", { class: "scroll", tabindex: "0", role: "region",
      "aria-label": `Data: ${figure.title}` });
    const details = element("details", { class: "data" }, element("summary", {}, "Data"), place);
    let shownNumber = null;
    const fill = (view) => {
      const number = figure.table ?? view.marks[0].data;
      if (!details.open || number === shownNumber) return;
      shownNumber = number;
      const pairs = Object.entries(data[number]);
      const numeric = pairs.map(([, values]) => values.some((v) => typeof v === "number"));
      const cell = (name, text, n, more = {}) =>
        element(name, numeric[n] ? { class: "num", ...more } : more, text);
      const head = pairs.map(([title], n) => cell("th", title, n, { scope: "col" }));
      const body = rows[number].map((row) =>
        element("tr", {}, ...pairs.map(([title], n) => cell("td", shown(row[title]), n))));
      place.replaceChildren(element("table", {}, element("caption", {}, figure.title),
        element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body)));
    };
    return { details, fill };
  }

  // Radio buttons for few views, a list for many.
  function choice(figure, first, choose) {
    const labels = figure.views.map((view) => view.label);
    if (labels.length > 4) {
      const list = element("select", { "aria-label": `${figure.title}: what is shown` },
        ...labels.map((label, n) => element("option", { value: n }, label)));
      list.value = first;
      list.addEventListener("change", () => choose(Number(list.value)));
      return element("p", { class: "choice" }, list);
    }
    const group = element("fieldset", { class: "choice" },
      element("legend", { class: "hidden" }, `${figure.title}: what is shown`));
    labels.forEach((label, n) => {
      const button = element("input", { type: "radio", name: `view-${figure.name}` });
      button.checked = n === first;
      button.addEventListener("change", () => choose(n));
      group.append(element("label", {}, button, label));
    });
    return group;
  }

  const groups = new Map();
  // The views that the reader chose, by figure: they outlast a page that is drawn anew.
  const chosen = window.chosenViews ??= new Map();

  function place(figure) {
    const home = document.getElementById(figure.name);
    const canvas = element("div", { class: "canvas" });
    const { details, fill } = table(figure);
    const key = figure.group || figure.name;
    let view = figure.views[chosen.get(key)] ?? figure.views[0], width = 0;
    const draw = () => {
      if (width) canvas.replaceChildren(drawn(figure, view, width));
      fill(view);
    };
    details.addEventListener("toggle", () => fill(view));
    const choose = (n) => { view = figure.views[n]; draw(); };
    const others = groups.get(figure.group);
    if (figure.group && others) {
      others.push(choose);
    } else if (figure.views.length > 1) {
      const all = [choose];
      groups.set(figure.group, all);
      const buttons = choice(figure, figure.views.indexOf(view), (n) => {
        chosen.set(key, n);
        all.forEach((one) => one(n));
      });
      if (figure.group) home.parentNode.before(buttons); else home.append(buttons);
    }
    home.append(canvas, details);
    new ResizeObserver(() => {
      const now = Math.floor(canvas.clientWidth);
      if (now && now !== width) { width = now; draw(); }
    }).observe(canvas);
  }

  figures.forEach(place);
}
