package seal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"azekura/internal/api"
)

// oneSecret checks that a secret is given in one of its two places.
func oneSecret(setting, file, variable string, value api.Sensitive) error {
	switch {
	case file == "" && value == "":
		return fmt.Errorf("%s: name a file, or set %s", setting, variable)
	case file != "" && value != "":
		return fmt.Errorf("%s: %s is set, too; give one", setting, variable)
	}
	return nil
}

// secret is value, or the line in a file that only its owner may read. The
// line's end is not part of it.
func secret(file string, value api.Sensitive) (api.Sensitive, error) {
	if file == "" {
		return value, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", fmt.Errorf("%s can be read by others than its owner (mode %04o): run chmod 600 %s", file, mode, file)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", err
	}
	defer clear(text)
	line := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if len(text) > maxFile || line == "" || strings.ContainsAny(line, "\r\n") {
		return "", errors.New(file + " does not hold one line of text")
	}
	return api.Sensitive(line), nil
}
