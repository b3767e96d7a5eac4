"""The digests of all kinds with their defaults. They never change: the same tag gives the same bytes.

After a new kind was added: `python -m tests.images.catalogue.pins` prints what is missing.
"""

from __future__ import annotations

from brokenreg.images.catalogue import CATALOGUE
from brokenreg.images.catalogue.tags import kind_of

PINS = {
    "history-too-long": "sha256:2da5e87ea9cc66ae43caf2b411648aff2ac1281a8680adfc5a7def07074da295",
    "layer-none": "sha256:d11183a16f4456ceeb299abf15b3f503b465af16776ffd774b8ad29c09b88719",
    "layer-twice": "sha256:ba26ba5933ab0c69ccaa0569aa972281fca2f95681407b26affe2bfc469208f5",
    "layers-many": "sha256:e7edb7e11ed35c0f7ce66df651a70047b1b77eb1a9d4df22102fabe1ab1ca3df",
    "layer-zero-bytes": "sha256:011bceec639941bc4ae2b53e27f8acdb27888fa05fe755ace3fb44f45b5cd711",
    "layer-tar-empty": "sha256:739ac7775a6e106b42c4079277c1593a195b1af262c3fedd7a8ef23aabeb46ad",
    "layer-tar": "sha256:1004085791e9b325249937bd2a9976134c3861e9f31eec4f5bb5e37e3e6ecc5a",
    "layer-zstd": "sha256:c41600990be6ec3d4f2a14820544166422f1018620715ea28a66eaf04113fefc",
    "layer-zstd-in-docker": "sha256:6dbf4cfa203ed253338344617dfed25c801421366ea4f55021b1cf9c40f60c9e",
    "layer-zstd-as-gzip": "sha256:a4d04565c64d3c25546f5b4ce0a2f396cb32c29e0a2f05c8d921b8a3af9694ed",
    "layer-gzip-as-tar": "sha256:1b7555415e0972fa5100929a474999cf21c58b4a1c6050acf874744b2b8b7e0d",
    "layer-tar-as-gzip": "sha256:8a5e69c8791da2b0bfbd88c9501109048076062df2835a19657c85c89f0d74b0",
    "layer-gzip-trailing": "sha256:67064c0564f755146cef879fbded5c1236730faea0b37f7774f9ce99301eca3d",
    "layer-gzip-members": "sha256:f1c27bfc140b664172e541056141b79534a491a89cb6794a211b4c97e26b0a50",
    "layer-gzip-truncated": "sha256:22598a097a1a083c0e395a2d2a357f1a210653ae10bbca7dd5ab065602b53cb6",
    "layer-gzip-wrong-crc": "sha256:168ed66fa397427a6bb8b995ff09c965105b16d473eacd877ff05b48c97323ac",
    "layer-zstd-chunked": "sha256:f62a3ccb5c13a3b041dc4ab5ad04b0efe63d45a5bc903968829ee8a9b5c59160",
    "layer-estargz": "sha256:abe17045a43ee6301732660cebfd9009d57d1ff157aa7809884bd57f973c2275",
    "layer-foreign": "sha256:46a8dc1b9e561b41980299e3b4c273f30da276095685a82ff8ff94ac26b1445a",
    "layer-size": "sha256:17f9058468a2dfd5963f79fd7ac061b1177459a368a64dc4051e8d4592468d8d",
    "layer-sha512": "sha256:4878605b9a440c34591b70b163b4376a8eeac35f53b3e91cd7f2a712e49ed7d7",
    "content-traversal": "sha256:9df19b698529fe1293d9f0282c1fe401491d1e79d0c6b87eb08071928eb93c07",
    "content-hardlink": "sha256:adb89b04bf6310b87f76cb2792f2c2cbe40ac740bed08c918c97e7f86cc0d84c",
    "content-whiteout-and-file": "sha256:db148d27deea3fafe7f9999606722636780df5a39cd232669ff6616a05420487",
    "content-whiteout-opaque": "sha256:92f7ee020d5665eae80032c2db785a1611d0c9741137bfda3085efda486859fa",
    "content-whiteout-bare": "sha256:0c5429a06fb0e3ffcb52c6770bb803ff09ebdf63e0a4577a0c07679db155f90f",
    "content-device": "sha256:cc94df28a9e24b75fb1fe56e34fc93336ed31fc7bc29cc55e14c85ce9ac492c4",
    "content-fifo": "sha256:fc2d4d12b7cceaf28fa78f46ec90984889890cdb9c63bf265f443880b9ccb3d5",
    "content-setuid": "sha256:8b96a0dc348cbf14de3ca057f689706a6c6faa9b6bb0b33001c4f7a49d2173c8",
    "content-name-twice": "sha256:b886c6ca7b8aa3914a49efe8f4bc332a36e88183fca8f2d5e8b4c718a51c87f0",
    "content-name-long": "sha256:4e60f5b00038958bfb603c1668ac97eb3c34a36d250de8dfd8e60f5a43a38afa",
    "content-name-control": "sha256:7d706502854004ebe139d1ebbefef117919072466665e49b6afd94e92f3dbb87",
    "content-name-not-utf8": "sha256:a85660db62b814cf79bdca3cb40f8b5cfeafb0da77e6fc21ef8af3a17703aba7",
    "content-name-case": "sha256:e8cdd42e6787bd10976a030831513c323edff7d0482fbf2675426390c9021027",
    "content-bomb": "sha256:c59f5d95a87dc7bfbf20afc78a4f6f1af8ef9213316eaabcc0d3b6d5df27301f",
    "content-gzip-bomb": "sha256:d9bfa7416e21b6f1004b6015a02bb45bfd058f1a61c705f587ab538b7ac6e47c",
    "content-many-files": "sha256:e166a1302a655b3cacaafa0cbb0e9ba7103432b880c3614edacfa7405a05ee43",
    "content-sparse": "sha256:27ad7837f75bb81de88a903bd16c58d6a6b93021765877e1930da0e1e8f50a9a",
    "content-pax-bomb": "sha256:c03b3d38fd75d67ea227da7d543e7ca64e1ae71f1ab939ee0092d068ebb3f05e",
    "index-empty": "sha256:cfdac084f942d5e93faadf1ad06f5c3f92331ebe4e608f870e6c51d254c55f40",
    "index-missing-child": "sha256:dfc00f8286e459fbaeaffc16938bca1277bf3bd99b5e3127e202431901da9bdb",
}

if __name__ == "__main__":
    for name in CATALOGUE:
        if name not in PINS:
            print(f'    "{name}": "{kind_of(name).image().root}",')
