package blastradius

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/mayfly-secrets/mayfly/internal/contract"
)

// Measures of the picture, in pixels. Letters of the monospaced font at size 13 are 7.8 wide.
const (
	pictureWidth = 960
	boxWidth     = 272
	lineHeight   = 18
	letters      = 32 // that fit into a box
	sentenceWide = 116
)

// Colours of the picture: dark enough on white for text (WCAG contrast 4.5 to 1), and told apart without colour by their
// headings too.
const (
	ink      = "#1f2933"
	faint    = "#52606d"
	reachRed = "#b42318"
	safe     = "#1a7f37"
	reader   = "#1d4ed8"
)

// Picture draws the radius as an SVG document: who reads the secret, the secret itself, what its holder reaches and what
// stops; below, what is untouched, and the sentence. The same radius gives the same bytes. It refers to nothing outside.
func Picture(r Radius) []byte {
	p := picture{}
	left := p.column(24, "can read", reader, readerLines(r))
	middle := p.column(344, "the secret", ink, secretLines(r))
	right := p.column(664, "if it leaks", reachRed, reachLines(r))
	height := max(left, middle, right)
	p.arrow(24+boxWidth, 344, 110)
	p.arrow(344+boxWidth, 664, 110)
	y := p.band(height+24, "untouched", safe, r.Untouched)
	y = p.prose(y+36, r.Sentence)

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title description" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13">`+"\n",
		pictureWidth, y, pictureWidth, y)
	fmt.Fprintf(&b, "<title id=\"title\">Blast radius of %s</title>\n<desc id=\"description\">%s</desc>\n", escape(r.Secret), escape(r.Sentence))
	fmt.Fprintf(&b, "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", pictureWidth, y)
	fmt.Fprintf(&b, "<text x=\"24\" y=\"36\" font-size=\"18\" font-weight=\"bold\" fill=\"%s\">%s</text>\n", ink, escape(short(r.Secret, 60)))
	fmt.Fprintf(&b, "<text x=\"936\" y=\"36\" text-anchor=\"end\" fill=\"%s\">blast radius: %s</text>\n", ink, escape(string(r.Level)))
	b.WriteString(p.String())
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// picture collects drawn elements.
type picture struct{ strings.Builder }

// column draws a box with a heading and gives the y below it. An empty line is a gap; lines that begin with two spaces are
// faint; longer ones are wrapped.
func (p *picture) column(x int, heading, colour string, lines []string) int {
	const top = 60
	wrapped := []string{}
	for _, line := range lines {
		wrapped = append(wrapped, wrap(line, letters)...)
	}
	height := 48 + len(wrapped)*lineHeight
	fmt.Fprintf(p, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"8\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\"/>\n", x, top, boxWidth, height, colour)
	fmt.Fprintf(p, "<text x=\"%d\" y=\"%d\" font-weight=\"bold\" fill=\"%s\">%s</text>\n", x+14, top+26, colour, heading)
	for i, line := range wrapped {
		if line != "" {
			p.line(x+14, top+52+i*lineHeight, line)
		}
	}
	return top + height
}

// line writes one line of a box.
func (p *picture) line(x, y int, text string) {
	colour := ink
	if rest, aside := strings.CutPrefix(text, "  "); aside {
		colour, text, x = faint, rest, x+12
	}
	fmt.Fprintf(p, "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n", x, y, colour, escape(text))
}

func (p *picture) arrow(from, to, y int) {
	fmt.Fprintf(p, "<path d=\"M%d %d H%d m-7 -5 l7 5 l-7 5\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\"/>\n", from+6, y, to-8, faint)
}

// band draws a box across the picture.
func (p *picture) band(y int, heading, colour string, lines []string) int {
	wrapped := []string{}
	for _, line := range lines {
		wrapped = append(wrapped, wrap(line, sentenceWide-4)...)
	}
	height := 48 + len(wrapped)*lineHeight
	fmt.Fprintf(p, "<rect x=\"24\" y=\"%d\" width=\"912\" height=\"%d\" rx=\"8\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" stroke-dasharray=\"5 4\"/>\n", y, height, colour)
	fmt.Fprintf(p, "<text x=\"38\" y=\"%d\" font-weight=\"bold\" fill=\"%s\">%s</text>\n", y+26, colour, heading)
	for i, line := range wrapped {
		p.line(38, y+52+i*lineHeight, line)
	}
	return y + height
}

func (p *picture) prose(y int, sentence string) int {
	for _, line := range wrap(sentence, sentenceWide) {
		p.line(24, y, line)
		y += lineHeight
	}
	return y + 8
}

func readerLines(r Radius) []string {
	var lines []string
	for _, reader := range r.Readers {
		lines = append(lines, reader.Name)
		switch {
		case reader.Undeclared != "":
			lines = append(lines, "  not declared: role of "+reader.Undeclared)
		case reader.Role != "":
			lines = append(lines, "  "+contract.RoleName(reader.Role))
		}
	}
	return lines
}

func secretLines(r Radius) []string {
	lines := []string{"  owner " + r.Owner, "  environment " + r.Environment, "  kind " + r.Kind, "  lives " + words(r.Holder.TTL)}
	if r.Holder.Target != "" {
		lines = append(lines, "", "logs in to", "  "+r.Holder.Target, "as")
		for _, login := range r.Holder.Logins {
			lines = append(lines, "  "+login)
		}
	}
	return lines
}

func reachLines(r Radius) []string {
	lines := []string{"its holder can"}
	for _, may := range r.Holder.May {
		lines = append(lines, "  "+may)
	}
	lines = append(lines, "", "until when", "  "+r.Holder.Until)
	for _, e := range r.Elsewhere {
		lines = append(lines, "it reaches "+e+", too")
	}
	if len(r.Stops) > 0 {
		lines = append(lines, "", "revoking it stops")
		for _, s := range r.Stops {
			lines = append(lines, "  "+s)
		}
	}
	return lines
}

// wrap breaks text at spaces into lines of at most so many letters; a longer word is cut. Lines after the first keep its
// indent.
func wrap(text string, most int) []string {
	indent := ""
	if strings.HasPrefix(text, "  ") {
		indent, most = "  ", most-2
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		for len([]rune(word)) > most {
			if line != "" {
				lines, line = append(lines, indent+line), ""
			}
			lines, word = append(lines, indent+string([]rune(word)[:most])), string([]rune(word)[most:])
		}
		if line != "" && len([]rune(line))+1+len([]rune(word)) > most {
			lines, line = append(lines, indent+line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, indent+line)
}

// short cuts text, with an ellipsis, to so many letters.
func short(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

func escape(text string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(text)); err != nil {
		panic("a strings.Builder takes everything: " + err.Error())
	}
	return b.String()
}
