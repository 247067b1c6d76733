// Examples are copied as code: without prompts and without what they print.
(() => {
  const code = text => {
    const lines = text.split("\n"), kept = lines.filter(line => /^(>>>|\.\.\.)( |$)/.test(line))
    return kept.length ? kept.map(line => line.slice(4)).join("\n") : text
  }

  for (const block of document.querySelectorAll(".md-typeset pre > code")) {
    const button = document.createElement("button")
    button.className = "copy"
    button.title = "Copy the code"
    button.textContent = "copy"
    button.addEventListener("click", async () => {
      const words = code(block.innerText.replace(/\n+$/, "")) + "\n"
      button.dataset.copied = words
      try { await navigator.clipboard.writeText(words) } catch {
        const area = Object.assign(document.createElement("textarea"), { value: words })
        document.body.append(area); area.select(); document.execCommand("copy"); area.remove()
      }
      button.textContent = "copied"
      setTimeout(() => button.textContent = "copy", 1500)
    })
    block.parentElement.append(button)
  }

  // a formula that is too wide for the screen becomes smaller, down to what can still be read
  const fit = () => {
    for (const formula of document.querySelectorAll(".formula > div")) {
      formula.style.fontSize = ""
      const ratio = formula.clientWidth / formula.scrollWidth
      if (ratio < 1) formula.style.fontSize = `${Math.max(0.98 * ratio, 0.7)}em`
    }
  }
  document.fonts.ready.then(fit)
  addEventListener("resize", fit)

  // a layer's source is what one comes for: short ones stand open
  const source = document.querySelector("details.mkdocstrings-source")
  if (source && source.textContent.length < 6000 && !location.hash) source.open = true

  // a selection within an example is copied without prompts and results, too; one of a result alone stays as it is
  document.addEventListener("copy", event => {
    const selection = document.getSelection(), words = selection.toString()
    const block = selection.anchorNode?.parentElement?.closest("pre")
    if (!block?.contains(selection.focusNode) || !/^>>> /m.test(words)) return
    const [first] = words.split("\n"), whole = /^(>>>|\.\.\.)( |$)/.test(first)
    event.clipboardData.setData("text/plain", (whole ? "" : first + "\n") + code(words) + "\n")
    event.preventDefault()
  })
})()
