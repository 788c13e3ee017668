"use strict";

// The divider between two pictures of one place: mouse, pen, touch and keyboard.
for (const swipe of document.querySelectorAll(".swipe")) {
  const stage = swipe.querySelector(".stage");
  const handle = swipe.querySelector(".handle");
  const layers = [...stage.querySelectorAll("img")];
  const [left, right] = swipe.querySelectorAll("select");
  const tags = { left: swipe.querySelector(".tag.left"), right: swipe.querySelector(".tag.right") };
  let at = 50;

  const place = (value) => {
    at = Math.min(100, Math.max(0, value));
    stage.style.setProperty("--at", `${at}%`);
    handle.setAttribute("aria-valuenow", String(Math.round(at)));
    handle.setAttribute(
      "aria-valuetext",
      `${Math.round(at)} % ${tags.left.textContent}, ${Math.round(100 - at)} % ${tags.right.textContent}`,
    );
  };
  const choose = () => {
    layers.forEach((layer, number) => {
      layer.classList.toggle("over", number === Number(left.value));
      layer.classList.toggle("under", number === Number(right.value));
    });
    // What lies over must come later, and the same picture may be on both sides.
    const over = layers[Number(left.value)];
    layers.forEach((layer) => { layer.style.zIndex = layer === over ? "1" : "0"; });
    if (left.value === right.value) over.classList.remove("over");
    tags.left.textContent = left.selectedOptions[0].textContent;
    tags.right.textContent = right.selectedOptions[0].textContent;
    place(at);
  };
  const follow = (event) => {
    const box = stage.getBoundingClientRect();
    place(((event.clientX - box.left) / box.width) * 100);
  };

  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    stage.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true });
    follow(event);
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) follow(event);
  });
  handle.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 10 : 2;
    const to = {
      ArrowLeft: at - step, ArrowDown: at - step, ArrowRight: at + step, ArrowUp: at + step,
      PageDown: at - 10, PageUp: at + 10, Home: 0, End: 100,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    place(to);
    event.preventDefault();
  });
  left.addEventListener("change", choose);
  right.addEventListener("change", choose);
  choose();
}

// Tables are sorted by a click on a column's title; a second click turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const first = head.dataset.first || "descending";
      const other = first === "descending" ? "ascending" : "descending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((cell) => cell.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const rows = [...body.rows].sort((one, two) => {
        const [a, b] = [key(one), key(two)];
        if (a === "" || b === "") return (a === "") - (b === "");
        const [x, y] = [Number(a), Number(b)];
        return sign * (Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y);
      });
      body.append(...rows);
    });
  });
}
