package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// The names in a root: step-00000050 is complete; step-00000050.replaced was, and
// is about to be removed in favour of a new one of the same step;
// step-00000050.tmp-123 is being written, or was when its writer died.
var (
	complete = regexp.MustCompile(`^step-(\d{8,18})(\.replaced)?$`)
	leftover = regexp.MustCompile(`^step-\d{8,18}\.tmp-\d+$`)
)

const replacedSuffix = ".replaced"

// Name is the folder's name for a step.
func Name(step int64) string { return fmt.Sprintf("step-%08d", step) }

// folder is a checkpoint by its name alone.
type folder struct {
	path     string
	step     int64
	replaced bool
}

// folders lists the checkpoints in root, the newest first, and what dead
// writers left. A root that does not exist has none.
func folders(root string) (found []folder, leftovers []string, err error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		path := filepath.Join(root, e.Name())
		if leftover.MatchString(e.Name()) {
			leftovers = append(leftovers, path)
		}
		if m := complete.FindStringSubmatch(e.Name()); m != nil {
			step, err := strconv.ParseInt(m[1], 10, 64)
			if err != nil {
				return nil, nil, err
			}
			found = append(found, folder{path, step, m[2] != ""})
		}
	}
	slices.SortFunc(found, func(a, b folder) int {
		return cmp.Or(cmp.Compare(b.step, a.step), cmp.Compare(len(a.path), len(b.path)))
	})
	return found, leftovers, nil
}

// prune removes what a new checkpoint of step makes superfluous: those that it
// replaced, and all but the last keep up to it. Checkpoints of later steps stay:
// they are of another history, which is not ours to judge.
func prune(root string, step int64, keep int) (removed []string, err error) {
	found, _, err := folders(root)
	if err != nil {
		return nil, err
	}
	kept := 0
	for _, f := range found {
		switch {
		case f.replaced:
		case f.step > step:
			continue
		case kept < keep:
			kept++
			continue
		}
		if err := os.RemoveAll(f.path); err != nil {
			return removed, err
		}
		removed = append(removed, f.path)
	}
	return removed, nil
}

// syncFolder makes a folder's entries durable.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
