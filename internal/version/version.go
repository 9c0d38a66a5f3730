// Package version says which build of Parallax this is.
package version

import (
	"runtime/debug"
	"sync"
)

// String is the version of the module, or the commit it was built from with a
// "+dirty" when the tree had changes, or "devel".
var String = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	return commit(info)
})

func commit(info *debug.BuildInfo) string {
	revision, dirty := "devel", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	return revision + dirty
}
