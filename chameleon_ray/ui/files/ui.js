// Keeps a page up to date: asks for it again, and puts what has changed in the place of the old.
"use strict";
{
  const main = document.querySelector("main");
  const lost = document.getElementById("lost");
  const seconds = Number(main.dataset.refresh);
  const SLOW = 50;
  let seen = "";
  const boxes = () => [...main.querySelectorAll("input[type=checkbox]")];
  const places = () => [...main.querySelectorAll("a, input, select, summary, [tabindex]")];

  function redraw(done) {
    const old = document.querySelector("script[data-draws]");
    if (!old) return done();
    const script = document.createElement("script");
    script.src = old.src;
    script.dataset.draws = "";
    script.addEventListener("load", done);
    old.replaceWith(script);
  }

  function take(news) {
    const now = news.querySelector("main");
    if (now.innerHTML === seen) return now;
    const ticked = boxes().filter((box) => box.checked).map((box) => box.value);
    const focused = places().indexOf(document.activeElement);
    seen = now.innerHTML;
    main.innerHTML = seen;
    for (const box of boxes()) box.checked = ticked.includes(box.value);
    const data = document.getElementById("data");
    if (data) data.textContent = news.getElementById("data").textContent;
    redraw(() => places()[focused]?.focus({ preventScroll: true }));
    return now;
  }

  // An answer may take the core that kernels are compiled on, so it is asked for rarely if it is slow.
  async function refresh() {
    let pause = 1000 * seconds;
    if (!document.hidden && !main.querySelector("details[open]")) {
      const began = performance.now();
      try {
        const answer = await fetch(location.href);
        if (!answer.ok) throw new Error(answer.statusText);
        const now = take(new DOMParser().parseFromString(await answer.text(), "text/html"));
        lost.hidden = true;
        if (!now.dataset.refresh) return;
      } catch {
        lost.hidden = false;
      }
      pause = Math.max(pause, SLOW * (performance.now() - began));
    }
    setTimeout(refresh, pause);
  }

  if (seconds) setTimeout(refresh, 1000 * seconds);
}
