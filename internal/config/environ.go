package config

import (
	"fmt"
	"strings"
)

// applyEnviron takes the variables that belong to the Spec. Variables of the
// daemons share the prefix (PARALLAX_COORDINATOR), so the rule is: a variable
// is the Spec's when it is PARALLAX_SEED, or when what follows the prefix begins
// with a section's name and an underscore, as PARALLAX_MODEL_LAYERS does; it is
// meant to be, and refused, when it differs from such a variable by a slip of
// one or two letters, as PARALLAX_MODLE_LAYERS does. All others are left alone.
func (l *Loaded) applyEnviron(environ []string) error {
	for _, variable := range environ {
		name, text, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, EnvPrefix) {
			continue
		}
		k, known := envIndex[name]
		if !known {
			if meantForSpec(name) {
				return &Error{Msg: fmt.Sprintf("environment: unknown variable %s%s", name, didYouMean(name, envNames))}
			}
			continue
		}
		value, err := k.fromText(text)
		if err != nil {
			return &Error{Key: k.Name, Msg: fmt.Sprintf("environment: %s=%s: %v", name, text, err)}
		}
		l.put(k, value, "environment "+name)
	}
	return nil
}

var envIndex, envNames = indexEnv(keys)

func indexEnv(keys []Key) (map[string]Key, []string) {
	index, names := make(map[string]Key, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		index[k.Env], names[i] = k, k.Env
	}
	return index, names
}

func meantForSpec(name string) bool {
	if inSection(name) {
		return true
	}
	for _, known := range envNames {
		if inSection(known) && editDistance(name, known) <= 2 {
			return true
		}
	}
	return false
}

// inSection says whether a variable's name begins with a section of the Spec.
func inSection(name string) bool {
	for _, s := range sections {
		if strings.HasPrefix(name, envName(s)+"_") {
			return true
		}
	}
	return false
}
