"""Style sheet and script of a report. They need no other file and no network."""

STYLE = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5a6673; --line: #d5dbe1; --blue: #1f5f99; --band: #dcebdc; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 84rem; color: var(--ink); background: #fff;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .3rem 0; }
h2 { font-size: 1.2rem; margin: 1.8rem 0 .5rem; border-top: 1px solid var(--line); padding-top: 1rem; }
.lead { font-size: 1.1rem; margin: .3rem 0 1rem; max-width: 60rem; }
.pair { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
.single { max-width: 44rem; }
figure { margin: 0; }
figcaption, .hint { color: var(--soft); font-size: .92rem; }
img { display: block; width: 100%; height: auto; border: 1px solid var(--line); }
img[hidden] { display: none; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 13px; fill: var(--ink); }
.control { display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: center; margin: .5rem 0; }
.control input { flex: 1 1 16rem; height: 2rem; accent-color: var(--blue); }
:focus-visible { outline: 3px solid var(--blue); outline-offset: 2px; }
output { font-weight: 600; min-width: 15rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0; border-bottom: 1px solid var(--line); }
th { white-space: nowrap; font-weight: 600; }
td span { display: block; color: var(--soft); font-size: .92rem; }
pre { background: #f3f5f7; padding: .8rem; overflow-x: auto; overflow-wrap: normal; }
button { font: inherit; padding: .4rem .9rem; border: 1px solid var(--blue); color: var(--blue); background: #fff;
  border-radius: .3rem; cursor: pointer; }
@media (max-width: 40rem) { th, td { display: block; border: 0; padding: 0; } th { padding-top: .6rem; } }
@media print { .control, button { display: none; } }
"""

SCRIPT = """
"use strict";
const slider = document.getElementById("length");
if (slider) {
  const steps = JSON.parse(document.getElementById("steps").textContent);
  const pictures = Array.from(document.querySelectorAll("#series img"));
  const said = document.getElementById("said");
  const marker = document.getElementById("marker");
  const show = () => {
    const step = steps[Number(slider.value)];
    pictures.forEach((picture, index) => { picture.hidden = index !== Number(slider.value); });
    said.textContent = step.text;
    slider.setAttribute("aria-valuetext", step.text);
    marker.setAttribute("transform", "translate(" + step.x + " 0)");
  };
  slider.addEventListener("input", show);
  show();
}
const copy = document.getElementById("copy");
if (navigator.clipboard) {
  copy.addEventListener("click", () => {
    navigator.clipboard.writeText(document.getElementById("code").textContent).then(
      () => { document.getElementById("copied").textContent = "Copied"; },
      () => { document.getElementById("copied").textContent = "The browser did not allow it"; });
  });
} else {
  copy.hidden = true;
}
"""
