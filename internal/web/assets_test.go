package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// uPlot is as it was published; these are the sums of its package's files.
var vendored = map[string]string{
	"lib/uplot/uPlot.esm.js":  "5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba",
	"lib/uplot/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
	"lib/uplot/LICENSE":       "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}

func TestVendoredFilesAreUnchanged(t *testing.T) {
	for name, want := range vendored {
		content, err := embedded.ReadFile("assets/" + name)
		must(t, err)
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s has the sum %x", name, sum)
		}
	}
}

var (
	outside  = regexp.MustCompile(`(?i)(https?:)?//[a-z0-9-]+\.[a-z0-9.-]+`)
	comments = regexp.MustCompile(`(?s)/\*.*?\*/|(^|\n)[^\n]*?// [^\n]*|(^|\n)\s*//[^\n]*`)
	inline   = regexp.MustCompile(`(?i)<script(?:>|[^>]*[^>/]>\s*[^<\s])|\son[a-z]+=|\sstyle=|<style|javascript:`)
)

// svgName is how SVG files name themselves; nobody ever fetches it.
const svgName = "http://www.w3.org/2000/svg"

// Nothing that is served names another host, but in uPlot's comments; and nothing
// needs what the policy forbids.
func TestNoOutsideAddresses(t *testing.T) {
	if len(files()) < 10 {
		t.Fatalf("only %d files are embedded", len(files()))
	}
	for name, f := range files() {
		content := bytes.ReplaceAll(f.content, []byte(svgName), nil)
		if vendored[name] != "" {
			content = comments.ReplaceAll(content, nil)
		}
		if found := outside.Find(content); found != nil {
			t.Errorf("%s names %s", name, found)
		}
		if strings.HasSuffix(name, ".html") && inline.Match(content) {
			t.Errorf("%s has inline script or style: %s", name, inline.Find(content))
		}
		for _, word := range []string{"eval(", "new Function", "@import", "document.write"} {
			if bytes.Contains(content, []byte(word)) {
				t.Errorf("%s contains %s", name, word)
			}
		}
	}
}

// What the page and its modules refer to is there.
func TestReferencesAreServed(t *testing.T) {
	references := regexp.MustCompile(`(?:src|href)="/assets/([^"]+)"|from "\./([^"]+)"`)
	for name, f := range files() {
		for _, m := range references.FindAllSubmatch(f.content, -1) {
			target := string(m[1]) + string(m[2])
			if _, found := files()[target]; !found {
				t.Errorf("%s refers to %s, which is not embedded", name, target)
			}
		}
	}
}

func TestLicencesLieBesideWhatTheyCover(t *testing.T) {
	folders, err := fs.Glob(embedded, "assets/lib/*")
	must(t, err)
	for _, folder := range folders {
		for _, name := range []string{"LICENSE", "README.md"} {
			if _, err := fs.Stat(embedded, folder+"/"+name); err != nil {
				t.Error(err)
			}
		}
	}
}
