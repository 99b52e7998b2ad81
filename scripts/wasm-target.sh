#!/usr/bin/env bash
# A Rust compiler that can build plugins, on machines where rustup has no wasm32-unknown-unknown.
#
#   eval "$(scripts/wasm-target.sh)"
#   cargo build --profile plugin --target wasm32-unknown-unknown -p word-filter
#
# It prints nothing when the active toolchain has the target, or rustup could add it. Else it takes Debian's compiler for the
# web with its own library sources (about 140 MB), unpacks them under ~/.cache/confab-wasm without installing anything, builds
# the standard library once (a minute or two), and prints the variables that make cargo use it.
#
# CONFAB_WASM=debian goes straight to Debian's. `cargo xtask plugins` understands the same variable.
set -euo pipefail

target=wasm32-unknown-unknown

say() { printf '%s\n' "$*" >&2; }

# Whether this rustc ($1) finds a standard library for the target.
has_target() {
  local folder
  folder=$("$1" --print target-libdir --target "$target" 2>/dev/null) || return 1
  compgen -G "$folder/libstd-*.rlib" >/dev/null
}

from_rustup() {
  command -v rustup >/dev/null || return 1
  timeout 120 rustup target add "$target" >&2 && has_target rustc
}

# The packages that the compiler is made of: itself, its sources, and the libraries it depends on and nothing else does.
packages() {
  printf '%s\n' rustc-web rust-web-src
  apt-cache depends --recurse --no-{recommends,suggests,conflicts,breaks,replaces,enhances} rustc-web rust-web-src |
    grep -oE '^(libllvm[0-9]+|libstd-rust-web[a-z0-9.-]*)$' | sort -u
}

# Debian's rustc looks for its libraries where a package would have put them; this one looks beside itself.
write_wrapper() {
  cat >"$1" <<'WRAPPER'
#!/bin/sh
home=$(dirname "$(dirname "$(readlink -f "$0")")")
LD_LIBRARY_PATH="$home/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LD_LIBRARY_PATH
exec "$home/usr/bin/rustc" "$@"
WRAPPER
  chmod +x "$1"
}

# Builds the standard library with the compiler in $1, and leaves it where that compiler looks for it.
build_std() {
  local root=$1 work=$2
  mkdir -p "$work/empty/src"
  : >"$work/empty/src/lib.rs"
  printf '%s\n' '[package]' 'name = "empty"' 'edition = "2021"' '[profile.release]' 'panic = "abort"' '[workspace]' \
    >"$work/empty/Cargo.toml"
  # The bitcode is for plugins that are linked with `lto`.
  (cd "$work/empty" && RUSTC="$root/bin/rustc" RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes \
    CARGO_TARGET_DIR="$work/target" cargo build --quiet --release -Zbuild-std=std,panic_abort --target "$target" >&2)
  local libraries="$root/usr/lib/rustlib/$target/lib"
  mkdir -p "$libraries"
  cp "$work/target/$target/release/deps/"lib*.rlib "$libraries/"
  rm -f "$libraries"/libempty-*.rlib
}

# Makes the compiler, whole or not at all, in the folder $1.
make_compiler() {
  local home=$1 work list
  work=$(mktemp -d "$(dirname "$home")/making.XXXXXX")
  # shellcheck disable=SC2064 # the folder's name is needed now, not when the trap runs
  trap "rm -rf '$work'" EXIT
  mapfile -t list < <(packages)
  say "downloading ${list[*]}"
  (cd "$work" && apt-get download "${list[@]}" >&2)
  mkdir -p "$work/root/bin"
  local package
  for package in "$work"/*.deb; do dpkg -x "$package" "$work/root"; done
  write_wrapper "$work/root/bin/rustc"
  say "building the standard library for $target"
  build_std "$work/root" "$work"
  rm -rf "$work/root/usr/src" "$work/root/usr/share"
  mv "$work/root" "$home"
}

from_debian() {
  if ! command -v apt-get >/dev/null || [[ $(uname -m) != x86_64 ]]; then
    say "no $target here, and no Debian on x86_64 to take it from: run \`rustup target add $target\`"
    return 1
  fi
  apt-cache show rustc-web >/dev/null 2>&1 || apt-get update >&2
  local version cache home
  version=$(apt-cache show --no-all-versions rustc-web | sed -n 's/^Version: //p')
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/confab-wasm
  home=$cache/$version
  mkdir -p "$cache"
  exec 9>"$cache/lock" # two builds at once would make it twice
  flock 9
  [[ -d $home ]] || make_compiler "$home"
  # Debian's compiler brings no linker for the target, the toolchain that is here does. And cargo does not notice when a
  # standard library changes: each compiler works in a folder of its own.
  printf "export RUSTC='%s'\n" "$home/bin/rustc"
  printf "export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER='%s'\n" \
    "$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld"
  printf "export CARGO_TARGET_DIR='%s'\n" "${CARGO_TARGET_DIR:-$PWD/target}/plugins-$version"
}

if [[ ${CONFAB_WASM:-} != debian ]] && { has_target rustc || from_rustup; }; then exit 0; fi
from_debian
