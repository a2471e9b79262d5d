#!/bin/sh
# Holds the modules in use against versions.txt, so that no change of another
# module brings an old one back. It needs no list of known vulnerabilities.
set -eu
table=$(dirname "$0")/versions.txt

modules=$(${GO:-go} list -m -f '{{if .Replace}}{{.Path}} {{.Replace.Version}}{{else}}{{.Path}} {{.Version}}{{end}}' all)

bad=0
while read -r module bound _; do
  case "$module" in ''|'#'*) continue ;; esac
  version=$(printf '%s\n' "$modules" | awk -v m="$module" '$1 == m { print $2 }')
  [ -n "$version" ] || continue
  case "$bound" in
    =*) least=${bound#=}; first=$version ;;
    *)  least=$bound; first=$(printf '%s\n%s\n' "$bound" "$version" | sort -V | head -n 1) ;;
  esac
  if [ "$first" != "$least" ]; then
    echo "$module is $version, and $table asks for $bound"
    bad=1
  fi
done < "$table"
exit "$bad"
