package corpus

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/edsrzf/mmap-go"
)

// TokenFile is a token file mapped into memory. It is safe for use by several
// goroutines until it is closed. Who truncates a file that is in use crashes the
// reader (SIGBUS); replacing it by a rename, as [Writer] does, is safe.
type TokenFile struct {
	path   string
	memory mmap.MMap
	format format
	tokens int
}

// Open maps the token file at path after checking its header against its size.
func Open(path string) (*TokenFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("token file cannot be opened: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("token file %s: %w", path, err)
	}
	header := make([]byte, headerSize)
	n, _ := f.ReadAt(header, 0) // a short file is parseHeader's to report
	format, tokens, err := parseHeader(header[:n], info.Size())
	if err != nil {
		return nil, fmt.Errorf("token file %s cannot be used: %w", path, err)
	}
	memory, err := mmap.MapRegion(f, int(info.Size()), mmap.RDONLY, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("token file %s: mapping %d bytes into memory: %w", path, info.Size(), err)
	}
	return &TokenFile{path: path, memory: memory, format: format, tokens: tokens}, nil
}

// Path is where the file was opened.
func (f *TokenFile) Path() string { return f.path }

// Len is the number of tokens.
func (f *TokenFile) Len() int { return f.tokens }

// Read copies the len(dst) tokens from position off on to dst. It panics when
// they are not all within the file.
func (f *TokenFile) Read(dst []int32, off int) {
	if off < 0 || off+len(dst) > f.tokens {
		panic(fmt.Sprintf("corpus: tokens [%d, %d) of the %d in %s", off, off+len(dst), f.tokens, f.path))
	}
	data := f.memory[headerSize+off*f.format.width:]
	if f.format == narrow {
		for i := range dst {
			dst[i] = int32(binary.LittleEndian.Uint16(data[2*i:]))
		}
		return
	}
	for i := range dst {
		dst[i] = int32(binary.LittleEndian.Uint32(data[4*i:]))
	}
}

// MaxToken reads the whole file and returns its largest token, which in the wide
// format may exceed an int32.
func (f *TokenFile) MaxToken() uint32 {
	data := f.memory[headerSize:]
	var largest uint32
	if f.format == narrow {
		for ; len(data) >= 2; data = data[2:] {
			largest = max(largest, uint32(binary.LittleEndian.Uint16(data)))
		}
		return largest
	}
	for ; len(data) >= 4; data = data[4:] {
		largest = max(largest, binary.LittleEndian.Uint32(data))
	}
	return largest
}

// Digest reads the whole file and returns its SHA-256 in hexadecimal.
func (f *TokenFile) Digest(ctx context.Context) (string, error) {
	const stride = 16 << 20 // bytes between two looks at ctx
	hash := sha256.New()
	for rest := []byte(f.memory); len(rest) > 0; {
		if err := ctx.Err(); err != nil {
			return "", fmt.Errorf("token file %s: hashing was interrupted: %w", f.path, err)
		}
		n := min(stride, len(rest))
		hash.Write(rest[:n])
		rest = rest[n:]
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Close unmaps the file; nothing may be read afterwards.
func (f *TokenFile) Close() error {
	if f.memory == nil {
		return nil
	}
	return f.memory.Unmap()
}
