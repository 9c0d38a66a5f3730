package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// formatVersion rises with every change that older programs must not read.
const formatVersion = 1

const (
	modelFile     = "model.safetensors"
	optimizerFile = "optimizer.safetensors"
	configFile    = "config.json"
	manifestFile  = "manifest.json"
)

// payload is what a manifest lists, in this order.
var payload = []string{modelFile, optimizerFile, configFile}

// maxManifest bounds what is read of a manifest, in bytes; a specification has
// some thousand.
const maxManifest = 4 << 20

// Manifest describes a checkpoint.
type Manifest struct {
	Format   int       `json:"format"`
	RunID    string    `json:"run_id"`
	Step     int64     `json:"step"`
	SpecHash string    `json:"spec_hash"`
	Spec     string    `json:"spec"` // canonical TOML
	Data     Position  `json:"data"`
	SavedAt  time.Time `json:"saved_at"`
	Layout   string    `json:"layout"` // LayoutDigest of the tensors
	Files    []FileSum `json:"files"`
	// Checksum is the SHA-256 of the manifest's own text with this field empty.
	Checksum string `json:"checksum"`
}

// FileSum is the size and checksum of a file of a checkpoint.
type FileSum struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// encode writes the one text that the manifest has, checksum included.
func (m Manifest) encode() ([]byte, error) {
	m.Checksum = ""
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	m.Checksum = hex.EncodeToString(sum[:])
	text, err = json.MarshalIndent(m, "", "  ")
	return append(text, '\n'), err
}

// parseManifest accepts exactly what encode writes.
func parseManifest(text []byte) (*Manifest, error) {
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", manifestFile, err)
	}
	if version.Format != formatVersion {
		return nil, fmt.Errorf("%s has format %d, and this program reads format %d", manifestFile, version.Format, formatVersion)
	}
	m := &Manifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", manifestFile, err)
	}
	if again, err := m.encode(); err != nil || !bytes.Equal(again, text) {
		return nil, fmt.Errorf("%s is damaged: it does not match its checksum", manifestFile)
	}
	return m, m.check()
}

func (m *Manifest) check() error {
	if len(m.Files) != len(payload) {
		return fmt.Errorf("%s lists %d files, want %d", manifestFile, len(m.Files), len(payload))
	}
	for i, f := range m.Files {
		if f.Name != payload[i] || f.Bytes < 0 {
			return fmt.Errorf("%s lists %.80q of %d bytes, want %s", manifestFile, f.Name, f.Bytes, payload[i])
		}
	}
	return nil
}

func readManifest(dir string) (*Manifest, error) {
	f, err := os.Open(filepath.Join(dir, manifestFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing", manifestFile)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxManifest {
		return nil, fmt.Errorf("%s is over %d bytes long", manifestFile, maxManifest)
	}
	return parseManifest(text)
}

// verify compares a file with its size and checksum.
func (f FileSum) verify(dir string) error {
	file, err := os.Open(filepath.Join(dir, f.Name))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is missing", f.Name)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != f.Bytes {
		return fmt.Errorf("%s is damaged: it has %d bytes, and had %d when it was saved", f.Name, info.Size(), f.Bytes)
	}
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return fmt.Errorf("%s cannot be read: %w", f.Name, err)
	}
	if hex.EncodeToString(h.Sum(nil)) != f.SHA256 {
		return fmt.Errorf("%s is damaged: its checksum is not what it was when it was saved", f.Name)
	}
	return nil
}
