#!/bin/sh
# Makes the certificates of this example in the folder OUT: certificates.sh OUT
set -eu
out=${1:?say where: certificates.sh OUT}

sallyport pki init --dir "$out/pki"
sallyport pki issue server --name cp --ip 192.0.2.1 --dir "$out/pki" --out "$out/cp"
sallyport pki issue agent --name host-a --dir "$out/pki" --out "$out/host-a"
sallyport pki issue agent --name host-b --dir "$out/pki" --out "$out/host-b"
sallyport pki issue admin --name admin --dir "$out/pki" --out "$out/admin"
