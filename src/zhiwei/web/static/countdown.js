// Makes the time that is left tick, and says when it is over. Without it the page shows the minutes.
const timer = document.querySelector("[role=timer][data-left]");
if (timer) {
  const end = performance.now() + Number(timer.dataset.left) * 1000;
  const tick = () => {
    const left = Math.max(0, Math.round((end - performance.now()) / 1000));
    const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    timer.textContent = left ? timer.dataset.minutes.replace("…", clock) : timer.dataset.over;
    if (left) {
      setTimeout(tick, 1000);
    }
  };
  tick();
}
