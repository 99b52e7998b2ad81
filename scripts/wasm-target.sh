#!/usr/bin/env bash
# Makes sure that plugins can be compiled. Prints nothing if the active toolchain has the target, after asking rustup for
# it if need be; else lines of `export NAME='value'` for a private compiler that has it.
#
# The private compiler is Debian's rustc-web. Its packages are unpacked into the cache, nothing is installed, and its own
# standard library is compiled for the target once: library and compiler must be of one version, so no other will do.
#
#   eval "$(scripts/wasm-target.sh)"        CONFAB_WASM=debian takes the private compiler in any case
set -euo pipefail

target=wasm32-unknown-unknown

has_target() {
  local folder
  folder=$("$1" --print target-libdir --target "$target" 2>/dev/null) && compgen -G "$folder/libstd-*.rlib" >/dev/null
}

if [ "${CONFAB_WASM:-}" != debian ]; then
  has_target rustc && exit 0
  if command -v rustup >/dev/null; then
    timeout 120 rustup target add "$target" >&2 && has_target rustc && exit 0
    echo "rustup could not bring $target: building it with Debian's compiler instead" >&2
  fi
fi

command -v apt-get >/dev/null || { echo "no $target here: run 'rustup target add $target'" >&2; exit 1; }
machine=$(uname -m)
[ "$machine" = x86_64 ] || { echo "no $target here, and Debian's compiler is only prepared for x86_64" >&2; exit 1; }

apt-cache show rustc-web >/dev/null 2>&1 || apt-get -q update >&2
version=$(apt-cache show --no-all-versions rustc-web | sed -n 's/^Version: //p')
home="${XDG_CACHE_HOME:-$HOME/.cache}/confab/wasm-$version"

unpack() { # into $1/root, everything that rustc-web needs to run
  local libraries
  libraries=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances rustc-web rust-web-src | grep -oE '^(libllvm[0-9]+|libstd-rust-web[a-z0-9.-]*)$' | sort -u)
  mkdir -p "$1/packages" "$1/root/bin"
  # apt drops its rights for a download and warns where it cannot: as root the folder would have to be open to `_apt`.
  # shellcheck disable=SC2086 # one word a package
  (cd "$1/packages" && apt-get -q -o APT::Sandbox::User=root download rustc-web rust-web-src $libraries >&2)
  for package in "$1"/packages/*.deb; do dpkg -x "$package" "$1/root"; done
  cat >"$1/root/bin/rustc" <<'SH'
#!/bin/sh
home=$(dirname "$(dirname "$(readlink -f "$0")")")
export LD_LIBRARY_PATH="$home/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$home/usr/bin/rustc" "$@"
SH
  chmod +x "$1/root/bin/rustc"
}

build_std() { # into the unpacked compiler's own folder of libraries
  mkdir -p "$1/std/src"
  : >"$1/std/src/lib.rs"
  printf '%s\n' '[package]' 'name = "std-for-plugins"' 'version = "0.0.0"' 'edition = "2021"' \
    '[profile.release]' 'panic = "abort"' 'debug = 0' '[workspace]' >"$1/std/Cargo.toml"
  # Bitcode, because plugins are linked with LTO.
  (cd "$1/std" && RUSTC="$1/root/bin/rustc" RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR="$1/built" \
    "${CARGO:-cargo}" build --release --quiet -Zbuild-std=std,panic_abort --target "$target" >&2)
  local libraries="$1/root/usr/lib/rustlib/$target/lib"
  mkdir -p "$libraries"
  cp "$1/built/$target/release/deps/"lib*.rlib "$libraries/"
  rm -f "$libraries"/libstd_for_plugins-*.rlib
  rm -rf "$1/root/usr/src" "$1/root/usr/share" "$1/root/usr/bin/rustdoc"
}

if ! [ -d "$home" ]; then
  mkdir -p "$(dirname "$home")"
  # Made beside its place and then moved, so that a folder with the right name is always whole.
  fresh=$(mktemp -d "$home.XXXXXX")
  trap 'rm -rf "$fresh"' EXIT
  unpack "$fresh"
  build_std "$fresh"
  mv -T "$fresh/root" "$home" 2>/dev/null || [ -d "$home" ]
fi

# Debian's compiler brings no linker for this target; ours does.
linker="$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld"
echo "export RUSTC='$home/bin/rustc'"
echo "export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER='$linker'"
