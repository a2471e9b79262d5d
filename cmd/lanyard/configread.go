package main

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

const (
	envPrefix = "LANYARD_"

	// defaultConfigFile is read when no file is named, if it is there.
	defaultConfigFile = "/etc/lanyard/lanyard.yaml"

	maxConfigFile = 1 << 20
)

// setting is one field of a Config.
type setting struct {
	key, fallback, help string
	value               reflect.Value
}

// env is the variable that sets it.
func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// flag is the option that sets it.
func (s setting) flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.key) }

// settings lists the settings of c in the order in which they are written.
func settings(c *Config) []setting { return under("", reflect.ValueOf(c).Elem()) }

func under(path string, v reflect.Value) []setting {
	var all []setting
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		key := path + tag.Get("key")
		if tag.Get("help") == "" {
			all = append(all, under(key+".", v.Field(i))...)
			continue
		}
		all = append(all, setting{key: key, fallback: tag.Get("default"), help: tag.Get("help"), value: v.Field(i)})
	}
	return all
}

// given is what a place says of a setting.
type given struct {
	words []string // several for a list
	list  bool
	from  string // the place, as a person would look for it
}

// configSource is where settings come from.
type configSource struct {
	file    string // empty: the usual one, if it is there
	environ []string
	flags   *pflag.FlagSet // those that were given count; may be nil
}

// readConfig reads every setting: a flag counts over the environment, that
// over the file, and the file over the default. It also says where each came
// from. A setting that nobody knows is an error: it was meant to do something.
func readConfig(src configSource) (Config, map[string]given, error) {
	var c Config
	all := settings(&c)
	file, err := readConfigFile(src.file, all)
	if err != nil {
		return c, nil, err
	}
	env, err := readEnvironment(src.environ, all)
	if err != nil {
		return c, nil, err
	}
	from := make(map[string]given, len(all))
	var problems []error
	for _, s := range all {
		g := given{from: "default"}
		if s.fallback != "" {
			g.words = strings.Split(s.fallback, ",")
		}
		for _, place := range []map[string]given{file, env, readFlags(src.flags, s)} {
			if said, ok := place[s.key]; ok {
				g = said
			}
		}
		from[s.key] = g
		if err := s.set(g); err != nil {
			problems = append(problems, fmt.Errorf("%s: %s: %w", g.from, s.key, err))
		}
	}
	return c, from, errors.Join(problems...)
}

// readConfigFile returns what the file says, by key.
func readConfigFile(path string, all []setting) (map[string]given, error) {
	named := path != ""
	if !named {
		path = defaultConfigFile
	}
	f, err := os.Open(path) //nolint:gosec // the file that the operator named
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxConfigFile {
		return nil, fmt.Errorf("%s: longer than %d KiB", path, maxConfigFile>>10)
	}
	return parseConfig(path, text, all)
}

// parseConfig reads YAML by its nodes, because an error has to name the line.
func parseConfig(path string, text []byte, all []setting) (map[string]given, error) {
	r := configReader{path: path, all: all, found: map[string]given{}, at: map[string]int{}}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return r.found, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: there is a second document in the file", path)
	}
	r.mapping("", doc.Content[0])
	return r.found, errors.Join(r.problems...)
}

type configReader struct {
	path     string
	all      []setting
	found    map[string]given
	at       map[string]int // the line of each key, sections too
	problems []error
}

// fail notes a problem, up to as many as a person would read.
func (r *configReader) fail(n *yaml.Node, format string, args ...any) {
	const enough = 20
	if len(r.problems) < enough {
		r.problems = append(r.problems, fmt.Errorf("%s:%d: %s", r.path, n.Line, fmt.Sprintf(format, args...)))
	}
}

// plain refuses what makes a file mean something other than it says.
func (r *configReader) plain(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		r.fail(n, "anchors, aliases and tags are not allowed")
		return false
	}
	return true
}

func (r *configReader) mapping(path string, n *yaml.Node) {
	if !r.plain(n) || blank(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "keys and values are wanted here")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" || !r.plain(key) {
			r.fail(key, "a key must be one word")
			continue
		}
		full := path + key.Value
		if line, twice := r.at[full]; twice {
			r.fail(key, "%s is given twice: first on line %d", full, line)
			continue
		}
		r.at[full] = key.Line
		switch {
		case slices.ContainsFunc(r.all, func(s setting) bool { return s.key == full }):
			r.value(full, value)
		case slices.ContainsFunc(r.all, func(s setting) bool { return strings.HasPrefix(s.key, full+".") }):
			r.mapping(full+".", value)
		default:
			r.fail(key, "unknown key %.80q: did you mean %q?", full, nearestKey(full, r.all))
		}
	}
}

// blank says whether n stands for no value.
func blank(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style == 0 && (n.Value == "" || n.Value == "~" || n.Value == "null")
}

func (r *configReader) value(key string, n *yaml.Node) {
	g := given{from: fmt.Sprintf("%s:%d", r.path, n.Line)}
	switch {
	case !r.plain(n) || blank(n):
		return
	case n.Kind == yaml.ScalarNode:
		g.words = []string{n.Value}
	case n.Kind == yaml.SequenceNode:
		g.list = true
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode || blank(item) || !r.plain(item) {
				r.fail(item, "%s: a word is wanted here", key)
				return
			}
			g.words = append(g.words, item.Value)
		}
	default:
		r.fail(n, "%s has a value, not keys of its own", key)
		return
	}
	r.found[key] = g
}

// nearestKey is the known key, or section, that takes the fewest slips to
// become key.
func nearestKey(key string, all []setting) string {
	var known []string
	for _, s := range all {
		known = append(known, s.key)
		for section := s.key; strings.Contains(section, "."); {
			section = section[:strings.LastIndexByte(section, '.')]
			if !slices.Contains(known, section) {
				known = append(known, section)
			}
		}
	}
	return directory.Nearest(key, known)
}

// readEnvironment returns what the environment says, by key. An empty variable
// is one that is not set. LANYARD_TOKEN belongs to other commands.
func readEnvironment(environ []string, all []setting) (map[string]given, error) {
	found := map[string]given{}
	var problems []error
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, envPrefix) || name == envPrefix+"TOKEN" || value == "" {
			continue
		}
		i := slices.IndexFunc(all, func(s setting) bool { return s.env() == name })
		if i < 0 {
			var known []string
			for _, s := range all {
				known = append(known, s.env())
			}
			problems = append(problems, fmt.Errorf("environment: unknown setting %.80s: did you mean %s?", name, directory.Nearest(name, known)))
			continue
		}
		found[all[i].key] = one(all[i], value, "environment "+name)
	}
	return found, errors.Join(problems...)
}

// readFlags returns what the options say of s.
func readFlags(flags *pflag.FlagSet, s setting) map[string]given {
	if flags == nil || !flags.Changed(s.flag()) {
		return nil
	}
	return map[string]given{s.key: one(s, flags.Lookup(s.flag()).Value.String(), "option --"+s.flag())}
}

// one is a setting given as one text: commas part the words of a list.
func one(s setting, text, from string) given {
	if s.value.Kind() == reflect.Slice {
		return given{words: strings.Split(text, ","), list: true, from: from}
	}
	return given{words: []string{text}, from: from}
}

// configFlags puts an option for every setting on flags.
func configFlags(flags *pflag.FlagSet, file *string) {
	flags.StringVar(file, "config", "", "configuration `file`; without it "+defaultConfigFile+", if it is there")
	var c Config
	for _, s := range settings(&c) {
		flags.String(s.flag(), "", s.help)
	}
}

var prefixes = reflect.TypeFor[[]netip.Prefix]()

// set puts what was given into the field.
func (s setting) set(g given) error {
	if isList := s.value.Kind() == reflect.Slice; isList != g.list && g.from != "default" {
		if isList {
			return errors.New("a list is wanted: write [one, another]")
		}
		return errors.New("one value is wanted, and this is a list")
	}
	if s.value.Kind() != reflect.Slice {
		word := ""
		if len(g.words) > 0 {
			word = g.words[0]
		}
		return s.setOne(word)
	}
	for _, word := range g.words {
		word = strings.TrimSpace(word)
		if word == "" {
			return errors.New("an item of the list is empty")
		}
		item := reflect.ValueOf(word)
		if s.value.Type() == prefixes {
			p, err := network(word)
			if err != nil {
				return err
			}
			item = reflect.ValueOf(p)
		}
		s.value.Set(reflect.Append(s.value, item))
	}
	return nil
}

// network reads a network, or an address as a network of its own.
func network(word string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(word); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(word)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%.60q is no network: write one as 10.1.0.0/16", word)
	}
	if p.Addr().Is4In6() {
		// Who asks is known by their IPv4 address, so it would match nobody.
		return netip.Prefix{}, fmt.Errorf("%s is a network of IPv4 written as IPv6: write it as 10.1.0.0/16", p)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%s has bits after its length: did you mean %s?", p, p.Masked())
	}
	return p, nil
}

func (s setting) setOne(word string) error {
	switch v := s.value.Addr().Interface().(type) {
	case *time.Duration:
		d, err := time.ParseDuration(word)
		if err != nil {
			return fmt.Errorf("%.60q is no time: write one as 90s, 15m or 24h", word)
		}
		*v = d
	case encoding.TextUnmarshaler:
		if err := v.UnmarshalText([]byte(word)); err != nil {
			return fmt.Errorf("%.60q is not known", word)
		}
	case *bool:
		if word != "true" && word != "false" {
			return fmt.Errorf("%.60q: write true or false", word)
		}
		*v = word == "true"
	case *int:
		n, err := strconv.Atoi(word)
		if err != nil {
			return fmt.Errorf("%.60q is no whole number", word)
		}
		*v = n
	case *string:
		*v = word
	default:
		return fmt.Errorf("no way to read a %T", v)
	}
	return nil
}
