// Names for links and switches whose text the theme and the gallery leave out.
document.addEventListener("DOMContentLoaded", () => {
  for (const summary of document.querySelectorAll("li.has-children > details > summary")) {
    const name = summary.closest("li").querySelector("a");
    summary.setAttribute("aria-label", `pages below ${name.textContent.trim()}`);
  }
  for (const story of document.querySelectorAll(".sphx-glr-thumbcontainer")) {
    const title = story.querySelector(".sphx-glr-thumbnail-title");
    for (const link of story.querySelectorAll("a")) {
      link.setAttribute("aria-label", title.textContent.trim());
    }
  }
});
