package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"sync"
	"time"
)

//go:embed assets
var embedded embed.FS

var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// file is an embedded file and its fingerprint, by which browsers see that theirs
// is still good.
type file struct {
	content []byte
	etag    string
}

// files holds every file of a known type under assets, by its path there.
var files = sync.OnceValue(func() map[string]file {
	all := map[string]file{}
	_ = fs.WalkDir(embedded, "assets", func(name string, entry fs.DirEntry, err error) error {
		if mediaTypes[path.Ext(name)] == "" {
			return err
		}
		content, err := embedded.ReadFile(name)
		sum := sha256.Sum256(content)
		all[name[len("assets/"):]] = file{content, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
		return err
	})
	return all
})

func page(w http.ResponseWriter, r *http.Request) { serveFile(w, r, "index.html") }

func asset(w http.ResponseWriter, r *http.Request) { serveFile(w, r, r.PathValue("file")) }

func serveFile(w http.ResponseWriter, r *http.Request, name string) {
	f, found := files()[name]
	if !found {
		notFound(w, r)
		return
	}
	w.Header().Set("Content-Type", mediaTypes[path.Ext(name)])
	w.Header().Set("ETag", f.etag)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.content))
}
