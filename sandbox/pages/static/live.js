// Keeps what stands in #live as it is now: asks for the page that its data-live names, which is this one, and takes that
// part of it where it changed. Without script a link does the same. It ends when the part is no longer marked so.
const EVERY_MS = 2000
const PATIENCE_MS = 10000

async function look() {
  const shown = document.getElementById("live")
  if (!shown?.hasAttribute("data-live")) return
  if (!document.hidden) {
    try {
      const answer = await fetch(shown.dataset.live, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(PATIENCE_MS) })
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html")
        const now = page.getElementById("live")
        if (now && now.outerHTML !== shown.outerHTML) {
          shown.replaceWith(document.adoptNode(now))
          document.title = page.title
        }
      }
    } catch {
      // It is away for a moment: what is shown stays.
    }
  }
  setTimeout(look, EVERY_MS)
}

// The links that look again are for those without script.
document.documentElement.classList.add("scripted")
setTimeout(look, EVERY_MS)
