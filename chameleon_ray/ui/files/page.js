// Keeps a page up to date: asks for it again, and puts what has changed in the place of the old.
"use strict";
{
  const main = document.querySelector("main");
  const lost = document.getElementById("lost");
  const seconds = Number(main.dataset.refresh);
  const checked = () => [...main.querySelectorAll("input:checked")].map((box) => box.value);

  function redraw() {
    const old = document.querySelector("script[data-draws]");
    if (!old) return;
    const script = document.createElement("script");
    script.src = old.src;
    script.dataset.draws = "";
    old.replaceWith(script);
  }

  async function refresh() {
    if (document.hidden || main.querySelector("details[open]")) return;
    try {
      const answer = await fetch(location.href);
      if (!answer.ok) throw new Error(answer.statusText);
      const news = new DOMParser().parseFromString(await answer.text(), "text/html");
      const now = news.querySelector("main");
      if (now.innerHTML !== main.dataset.seen) {
        const boxes = checked();
        main.dataset.seen = now.innerHTML;
        main.replaceChildren(...now.childNodes);
        for (const box of main.querySelectorAll("input")) box.checked = boxes.includes(box.value);
        const data = document.getElementById("data");
        if (data) data.textContent = news.getElementById("data").textContent;
        redraw();
      }
      lost.hidden = true;
      if (!now.dataset.refresh) clearInterval(timer);
    } catch {
      lost.hidden = false;
    }
  }

  const timer = seconds ? setInterval(refresh, 1000 * seconds) : 0;
}
