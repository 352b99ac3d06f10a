// At most so many boxes of a field may be chosen: counts them, and closes the others. Also says when
// a window of hours ends on the next day. Without it the server says so after the form was sent.
for (const group of document.querySelectorAll("fieldset[data-most]")) {
  const most = Number(group.dataset.most);
  const count = () => {
    const boxes = [...group.querySelectorAll("input[type=checkbox]")];
    const chosen = boxes.filter((box) => box.checked).length;
    for (const box of boxes) {
      box.disabled = !box.checked && chosen >= most;
    }
    group.querySelector("output").textContent = `${chosen}/${most}`;
  };
  group.addEventListener("change", count);
  count();
}
for (const row of document.querySelectorAll(".hours")) {
  const [start, end] = row.querySelectorAll("select");
  const mark = row.querySelector("output");
  row.addEventListener("change", () => {
    mark.textContent = end.value <= start.value ? mark.dataset.next : "";
  });
}
// The pieces that say what would have been stopped come by themselves; the button is for who has no script.
for (const button of document.querySelectorAll("button.try")) {
  button.hidden = "htmx" in window;
}
