package blastradius_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
)

// Whatever a contract says, the picture is one well-formed document with nothing in it that a browser would run.
func TestPicturesAreWellFormed(t *testing.T) {
	for name, statement := range map[string]string{
		"markup": `</text><script>alert("x")</script>`, "quotes": `"'&amp;<!--`, "control": "a\x00b\x1bc", "long": strings.Repeat("word ", 200),
		"one word": strings.Repeat("x", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.api.Statement = statement
			r, err := blastradius.Derive(w.bundle(), w.api.ID())
			if err != nil {
				t.Fatal(err)
			}
			picture := blastradius.Picture(r)
			if !bytes.Equal(picture, blastradius.Picture(r)) {
				t.Error("two pictures of one radius differ")
			}
			d := xml.NewDecoder(bytes.NewReader(picture))
			for {
				token, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%v\n%s", err, picture)
				}
				if e, ok := token.(xml.StartElement); ok && !strings.Contains(" svg title desc rect text path ", " "+e.Name.Local+" ") {
					t.Errorf("element %s came in from the contract", e.Name.Local)
				}
			}
		})
	}
}
