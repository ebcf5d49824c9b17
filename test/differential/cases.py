"""cases.py CONTAINER COUNT SEED FOLDER: writes odd checkpoints, and for each a line of JSON with what its framework loads.

A line has `file`, `what` was odd, and `loaded`: for each way to load it, None where the framework refuses, else a dictionary of
name: [dtype, shape, SHA-256 of the elements, row-major and little-endian].
"""

import hashlib
import io
import json
import os
import random
import resource
import signal
import struct
import sys
import warnings
import zipfile
import zlib

import numpy as np

warnings.simplefilter('ignore')


def described(array):
    array = np.asarray(array)
    if array.dtype.byteorder == '>' or (array.dtype.byteorder == '=' and sys.byteorder == 'big'):
        array = array.astype(array.dtype.newbyteorder('<'))
    return [array.dtype.name, list(array.shape), hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()]


def attempt(load):
    try:
        return load()
    except Exception:
        return None


class Cases:
    def __init__(self, seed, folder):
        self.r = random.Random(seed)
        self.folder = folder
        self.numbers = np.random.default_rng(seed)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        path = self.path(name)
        with open(path, 'wb') as file:
            file.write(data)
        return path

    def odd(self, share=0.5):
        return self.r.random() < share

    def floats(self, *shape):
        return self.numbers.standard_normal(shape).astype('<f4')


# PyTorch: pickles by hand


def uni(text):
    data = text.encode('utf8', 'surrogatepass')
    return b'X' + struct.pack('<I', len(data)) + data


def integer(n):
    return b'K' + bytes([n]) if 0 <= n < 256 else b'J' + struct.pack('<i', n)


def name(path):
    module, _, attribute = path.rpartition('.')
    return b'c' + module.encode() + b'\n' + attribute.encode() + b'\n'


def tup(*items):
    return b'(' + b''.join(items) + b't'


def dic(*items):
    return b'}(' + b''.join(items) + b'u'


def call(path, *args):
    return name(path) + tup(*args) + b'R'


TYPES = {'FloatStorage': 4, 'HalfStorage': 2, 'DoubleStorage': 8, 'LongStorage': 8, 'CharStorage': 1, 'BFloat16Storage': 2}


class Torch(Cases):
    SHAPE = [3, 4]

    def storage(self, key, kind, count=None):
        count = 64 // TYPES[kind] if count is None else count
        return tup(uni('storage'), name('torch.' + kind), uni(key), uni('cpu'), integer(count)) + b'Q'

    def view(self):
        r = self.r
        kind = r.choice(list(TYPES)) if self.odd(0.3) else 'FloatStorage'
        room = 64 // TYPES[kind]
        shape = [r.randint(1, 4) for _ in range(r.choice([1, 2, 2, 2, 3]))]
        strides = [r.randint(0, 4) for _ in shape]
        offset = r.randint(0, 4)
        if not self.odd(0.6) or offset + sum((n - 1) * s for n, s in zip(shape, strides)) >= room:
            kind, shape, strides, offset = 'FloatStorage', [4, 4], [4, 1], 0
        key = r.choice(['0', '1', '2'])
        if self.odd(0.9):
            kind = self.kinds.setdefault(key, kind)
            if kind != 'FloatStorage' and shape == [4, 4]:
                shape, strides = [2, 2], [2, 1]
        metadata = [dic(uni('neg'), r.choice([b'\x88', b'\x89', integer(1)]))] if self.odd(0.03) else []
        count = None if self.odd(0.97) else r.randint(0, 70)
        args = [self.storage(key, kind, count), integer(offset), tup(*map(integer, shape)), tup(*map(integer, strides))]
        return args + [b'\x89', call('collections.OrderedDict'), *metadata]

    def set_state(self):
        kind = self.r.choice(['FloatStorage', 'HalfStorage'])
        return self.r.choice([
            tup(self.storage('1', kind), integer(0), tup(integer(2), integer(2)), tup(integer(2), integer(1))),
            tup(self.tensor(1), b'N', b'N', b'\x89', b'N'),
            dic(uni('data'), self.tensor(1)),
            dic(uni('note'), integer(1)),
            dic(),
        ])

    def attributes(self):
        key = self.r.choice(['data', 'note', 'requires_grad', 'real', 'grad', '__class__', 'names', 'T'])
        state = dic(uni(key), self.r.choice([self.tensor(1), integer(1), b'N']))
        return self.r.choice([state, tup(state, b'N'), tup(b'N', state), b'N', b'N', dic(), dic(uni('note'), integer(1))])

    def tensor(self, depth=0):
        r = self.r
        hooks = call('collections.OrderedDict')
        if depth > 2:
            made = 'view'
        else:
            made = r.choice(['view'] * 8 + ['parameter', 'state', 'type', 'device', 'newobj', 'tensor'])
        inner = lambda: self.tensor(depth + 1)
        if made == 'view':
            value = call('torch._utils._rebuild_tensor_v2', *self.view())
        elif made == 'parameter':
            value = call('torch._utils._rebuild_parameter', inner(), b'\x88', hooks)
        elif made == 'state':
            value = call('torch._utils._rebuild_parameter_with_state', inner(), b'\x88', hooks, self.attributes())
        elif made == 'type':
            kind = r.choice(['torch.Tensor', 'torch.nn.parameter.Parameter', 'torch._tensor.Tensor'])
            value = call('torch._tensor._rebuild_from_type_v2', name('torch._utils._rebuild_tensor_v2'), name(kind),
                         tup(*self.view()), self.attributes())
        elif made == 'device':
            kind = r.choice(['float32', 'float32', 'float16', 'int8', 'double'])
            value = call('torch._utils._rebuild_device_tensor_from_cpu_tensor', inner(), name('torch.' + kind),
                         uni('cpu'), b'\x89')
        elif made == 'newobj':
            value = name('torch.nn.parameter.Parameter') + tup(inner(), b'\x89') + b'\x81'
        else:
            value = name('torch.Tensor') + tup(inner()) + b'\x81'
        if self.odd(0.02):
            value += self.set_state() + b'b'
        if self.odd(0.01):
            value += r.choice([b'N', integer(0), tup(integer(0), integer(0))]) + r.choice([inner(), b'K\x07']) + b's'
        return value

    def key(self):
        r = self.r
        if self.odd(0.9):
            return uni(r.choice(['a.w', 'b.w', 'c.w', 'd']))
        return r.choice([
            b"S'a.\\x77'\n", b'S"b\\x2ew"\n', b"S'c.w\\\\'\n", b'Va.\\u0077\n', b'Vb.\\\\u0077\n', b'V\xe4.w\n',
            b'V\\U00000061.w\n', b'U\x03a.w', b'\x8c\x03b.w', b'\x8d\x03\0\0\0\0\0\0\0c.w', b'\x88', integer(1),
            b'\x89', integer(0), b'I01\n', b'G' + struct.pack('>d', 1.0), b"S'\\141.w'\n", b"S'\\q'\n", b"S'\\x4'\n",
        ])

    def pickle(self):
        r = self.r
        body = b''
        if self.odd(0.04):
            body += self.tensor() + r.choice([b'N' + self.tensor() + b's', self.set_state() + b'b']) + b'0'
        if self.odd(0.02):
            body += call('torch.Tensor.' + r.choice(['copy_', 'add_', 'mul_']), self.tensor(), self.tensor()) + b'0'
        head = r.choice([b'}', b'}', name('collections.OrderedDict') + b')R', name('collections.OrderedDict') + b')\x81'])
        items = [self.key() + self.tensor() for _ in range(r.randint(1, 4))]
        body += head + b'(' + b''.join(items) + b'u'
        if self.odd(0.03):
            body += dic(uni('a.w'), self.tensor()) + b'b'
        if self.odd(0.03):
            body += uni('a.w') + self.tensor() + b's'
        return bytes([0x80, r.choice([2, 2, 4])]) + body + b'.'

    def archive(self, pickle):
        r = self.r
        entries = [('archive/data.pkl', pickle), ('archive/byteorder', b'little')]
        entries += [('archive/data/%d' % k, self.numbers.standard_normal(8).tobytes()) for k in range(3)]
        entries += [('archive/version', b'3\n')]
        if self.odd(0.15):
            odd = r.choice(['archive/DATA/0', 'Archive/data/1', 'archive\\data\\1', 'archive/data/0\0x', 'archive/data/00',
                            'archive/data/0', 'archive//data/0', './archive/data/0', 'archive/data/0 ', 'other/data/0',
                            'archive/.data/x'])
            entries.insert(r.randint(0, len(entries)), (odd, self.numbers.standard_normal(8).tobytes()))
        renamed = r.randint(0, len(entries) - 1) if self.odd(0.05) else -1
        return zipped(entries, renamed, 'archive/data/%d' % r.randint(0, 3))

    def case(self):
        import torch

        self.kinds = {}
        path = self.write('case.pt', self.archive(self.pickle()))

        def load(weights_only):
            found = torch.load(path, map_location='cpu', weights_only=weights_only)
            tensors = [(k, v) for k, v in found.items() if isinstance(v, torch.Tensor)]
            return {python_name(k): self.described(v.detach()) for k, v in tensors}

        return path, [attempt(lambda: load(True)), attempt(lambda: load(False))]

    @staticmethod
    def described(tensor):
        import torch

        tensor = tensor.resolve_conj().resolve_neg()
        if tensor.dtype == torch.bfloat16:
            kind, shape, digest = described(tensor.contiguous().view(torch.int16).numpy())
            return ['bfloat16', shape, digest]
        return described(tensor.numpy())


def python_name(key):
    return {True: 'true', False: 'false'}[key] if isinstance(key, bool) else '%g' % key if isinstance(key, float) else str(key)


def zipped(entries, renamed=-1, other=''):
    """A stored zip, byte by byte; an entry may have a Unicode path that is another."""
    body, directory = b'', b''
    for i, (title, data) in enumerate(entries):
        raw = title.encode()
        crc = zlib.crc32(data)
        extra = b''
        if i == renamed:
            path = b'\1' + struct.pack('<I', zlib.crc32(raw)) + other.encode()
            extra = struct.pack('<HH', 0x7075, len(path)) + path
        common = struct.pack('<HHHHHIIIHH', 20, 0, 0, 0, 33, crc, len(data), len(data), len(raw), len(extra))
        directory += b'PK\1\2' + struct.pack('<H', 20) + common + struct.pack('<HHHII', 0, 0, 0, 0, len(body)) + raw + extra
        body += b'PK\3\4' + common + raw + extra + data
    end = struct.pack('<HHHHIIH', 0, 0, len(entries), len(entries), len(directory), len(body), 0)
    return body + directory + b'PK\5\6' + end


class Numpy(Cases):
    DESCR = ['<f4', '<f4', '<f8', '<f2', '>f4', '|f4', '=f4', 'f4', '<f4,', '<f4,<f4', '<f4 ', ' <f4', '<f04', '<f4x', '<F4',
             '<i4', '|u1', '|b1', '<c8', '>f8', '>i2', '|V2', '|S4', '<U1', '<2f4', '(2,)<f4', '<f', '<d', 'float32', '<f16',
             '<M8[s]', '|O', '<V4', '>V2', '<b1', '<u1', 'f4 ', '<e', '']

    def npy(self):
        r = self.r
        descr = repr(r.choice(self.DESCR) if self.odd(0.4) else '<f4') if self.odd(0.98) else r.choice(["('<f4', (2,))", "[('a', '<f4')]", 'None', "b'<f4'"])
        shape = '(4, 4)' if self.odd(0.7) else r.choice(['(4, 4)', '(2, 2, 2)', '(16,)', '()', '(4, 4, )', '(4L, 4L)', '(-1, 4)', '(4, 04)',
                          '(True, 4)', '(4.0, 4)', '[4, 4]', '4', '(0x4, 4)', '(1_0,)', '(0, 4)', '((4, 4))', '(+4, 4)'])
        order = r.choice(['False', 'False', 'True', '0', '1', 'None', 'not True'] if self.odd(0.1) else ['False', 'True'])
        items = ["'descr': " + descr, "'fortran_order': " + order, "'shape': " + shape]
        if self.odd(0.2):
            r.shuffle(items)
        if self.odd(0.05):
            items.append(r.choice(["'shape': (2, 2)", "'x': 1", "'descr': '<f8'"]))
        text = '{' + ', '.join(items) + r.choice([', }', '}', ',}', ' }']) + r.choice(['', ' ', '  \n', '\n', ' # x\n', '; 1'] if self.odd(0.1) else ['\n', ''])
        if self.odd(0.03):
            text = r.choice([' ', '\n', '\t', '(']) + text
        version = r.choice([1, 1, 1, 2, 3]) if self.odd(0.95) else r.choice([0, 4])
        minor = 0 if self.odd(0.97) else 1
        raw = text.encode()
        raw += b' ' * (-(len(raw) + 11) % 64 if self.odd(0.7) else 0) + (b'\n' if self.odd(0.9) else b'')
        length = struct.pack('<H' if version == 1 else '<I', len(raw))
        data = self.numbers.standard_normal(16 if self.odd(0.9) else r.choice([17, 8, 4])).astype('<f4' if descr == "'<f4'" and self.odd(0.9) else '<f8').tobytes()
        return b'\x93NUMPY' + bytes([version, minor]) + length + raw + data

    def case(self):
        r = self.r
        if self.odd():
            path = self.write('case.npy', self.npy())
            return path, [attempt(lambda: {'array': described(self.plain(np.load(path)))})]
        entries = [(r.choice(['a.npy', 'w.npy', 'w', 'b.npy', 'w.NPY', 'w.npy.npy', 'd/w.npy', 'd\\w.npy', 'w.npy\0x', 'n.txt',
                              '.npy']),
                    self.npy() if self.odd(0.9) else b'text') for _ in range(r.randint(1, 4))]
        entries.insert(0, ('first.npy', saved(self.floats(2, 2))))
        path = self.write('case.npz', zipped(entries, r.randint(0, len(entries) - 1) if self.odd(0.05) else -1, 'u.npy'))

        def load():
            with np.load(path) as found:
                arrays = {name: attempt(lambda: found[name]) for name in found.files}
            return {name: described(self.plain(a)) if isinstance(a, np.ndarray) else None for name, a in arrays.items()}

        return path, [attempt(load)]

    @staticmethod
    def plain(array):
        if array.dtype.kind not in 'fiubc' and array.dtype.str != '|V2':
            raise ValueError
        return array


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


class Hdf5(Cases):
    def case(self):
        import h5py

        r = self.r
        path = self.path('case.h5')
        kind = r.choice(['<f4', '<f4', '<f4', '<f8', '<f2', '>f4', '<i4', '>f8', '|u1', '>i2'])
        array = self.numbers.standard_normal((4, 4)).astype(kind)
        options = {}
        if self.odd(0.4):
            options['chunks'] = (r.randint(1, 4), r.randint(1, 4))
            if self.odd(0.7):
                options['compression'] = r.choice(['gzip', 'lzf'])
            options['shuffle'] = self.odd()
            options['fletcher32'] = self.odd(0.3)
        with h5py.File(path, 'w', libver=r.choice(['earliest', 'latest', 'v108'])) as file:
            if self.odd(0.1):
                data = file.create_dataset('w', (4, 4), kind, fillvalue=r.choice([None, 2]), **options)
                data[:2] = array[:2]
            else:
                file.create_dataset('w', data=array, **options)
            if self.odd(0.2):
                file['group/v'] = self.floats(2, 3)
        data = bytearray(open(path, 'rb').read())
        # The datatype message: its class and version, 3 bytes of flags, the size, and what the class has.
        with h5py.File(path) as file:
            size, bits = np.dtype(kind).itemsize, file['w'].dtype
        first = data.find(struct.pack('<I', size), 8)
        places = [i for i in range(8, len(data) - 24)
                  if data[i] in (0x11, 0x10, 0x31, 0x30) and data[i + 4:i + 8] == struct.pack('<I', size)]
        if places and self.odd(0.8):
            at = r.choice(places)
            for _ in range(r.choice([1, 1, 2])):
                spot = at + r.choice([0, 1, 1, 1, 2, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17])
                data[spot] = r.choice([0, 1, 0x10, 0x20, 0x30, 0x60, 0x61, 31, 30, 15, 63, 32, 16, 23, 8, 127, 126, r.randint(0, 255)])
        elif self.odd(0.3):
            data[r.randrange(8, len(data))] ^= 1 << r.randint(0, 7)
        self.write('case.h5', data)

        def load():
            found = {}
            with h5py.File(path) as file:
                def visit(name, item):
                    if isinstance(item, h5py.Dataset):
                        found[name] = described(item[...])
                file.visititems(visit)
            return found

        return path, [attempt(load)]


def varint(n):
    out = b''
    n &= (1 << 64) - 1
    while True:
        low, n = n & 127, n >> 7
        out += bytes([low | (128 if n else 0)])
        if not n:
            return out


def field(number, content):
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


class Onnx(Cases):
    def entry(self, key, value):
        return field(13, field(1, key) + field(2, value))

    def tensor(self, title):
        r = self.r
        floats = self.floats(4, 4)
        parts = [field(1, 4), field(1, 4)] if self.odd(0.7) else [field(1, varint(4) + varint(4))]
        kind = r.choice([1, 1, 1, 1, 1, 10, 6, 16, 11]) if self.odd(0.95) else r.choice([2**32 + 1, 0, 99, 2**32 + 10, -1])
        parts.append(field(8, title))
        where = r.choice(['raw'] * 4 + ['float', 'unpacked', 'pieces', 'external', 'external', 'twice'] if self.odd(0.9) else ['ints', 'both'])
        kind = 1 if where in ('float', 'unpacked', 'pieces') and self.odd(0.95) else kind
        parts.insert(0, field(2, kind))
        width = {1: 4, 10: 2, 6: 4, 16: 2, 11: 8}.get(kind & 0xffffffff, 4)
        raw = floats.tobytes() * 2
        if where in ('raw', 'twice', 'both'):
            parts.append(field(9, raw[:16 * width]))
        if where == 'twice':
            parts.append(field(9, raw[16:16 + 16 * width]))
        if where in ('float', 'both'):
            parts.append(field(4, raw[:64]))
        if where == 'unpacked':
            parts.append(b''.join(b'\x25' + struct.pack('<f', x) for x in floats.ravel()))
        if where == 'pieces':
            parts += [field(4, raw[:24]), b'\x25' + raw[24:28], field(4, raw[28:64])]
        if where == 'ints':
            values = [r.choice([r.randint(0, 65535), -1, 2**31, 2**32 + 7, r.randint(0, 2**63)]) for _ in range(16)]
            parts.append(field(5, b''.join(map(varint, values))))
        if where == 'external' or self.odd(0.05):
            entries = [self.entry(b'location', r.choice([b'one.bin', b'two.bin', b'./two.bin', b'sub/one.bin', b'sub\\one.bin' if self.odd(0.2) else b'one.bin']))]
            if self.odd():
                offset = r.choice([b'0', b'16', b'64'] if self.odd(0.9) else [b'+16', b' 16', b'1_6', b'016'])
                entries.append(self.entry(b'offset', offset))
            if self.odd():
                entries.append(self.entry(b'length', str(16 * width).encode() if self.odd(0.95) else b'64'))
            entries += [self.entry(b'k%d' % k, b'') for k in range(r.choice([0, 0, 0, 3, 17]))]
            if self.odd(0.2):
                entries.append(self.entry(r.choice([b'location', b'Location', b'location ']), b'two.bin'))
            if self.odd(0.2):
                r.shuffle(entries)
            parts += entries
            parts.append(field(14, 1 if self.odd(0.8) else r.choice([0, 2, 2**32 + 1, -1, 257])))
        if self.odd(0.05):
            parts.append(field(14, r.choice([0, 2, 2**32, 2**32 + 1, -1])))
        if self.odd(0.03):
            parts.append(field(3, field(1, 0)))
        if self.odd(0.3):
            r.shuffle(parts)
        return b''.join(parts)

    def case(self):
        import onnx
        from onnx import numpy_helper

        r = self.r
        os.makedirs(self.path('sub'), exist_ok=True)
        for place in ('one.bin', 'two.bin', 'sub/one.bin', 'sub\\one.bin'):
            if not os.path.exists(self.path(place)):
                self.write(place, self.floats(64).tobytes())
        graph = b''
        for k in range(r.randint(1, 3)):
            title = b'w%d' % k
            if self.odd(0.85):
                graph += field(5, self.tensor(title))
            else:
                value = field(1, b'value') + field(20, 4) + field(5, self.tensor(b''))
                value += field(5, self.tensor(b'')) if self.odd(0.1) else b''
                graph += field(1, field(2, title) + field(4, b'Constant') + field(5, value))
        graph += field(2, b'g')
        model = field(1, 8) + field(7, graph) + field(8, field(2, 20))
        if self.odd(0.1):
            model += field(7, field(5, self.tensor(b'x')))
        path = self.write('case.onnx', model)

        def load():
            found = onnx.load(path)
            tensors = list(found.graph.initializer)
            for node in found.graph.node:
                for attribute in node.attribute:
                    if attribute.HasField('t'):
                        attribute.t.name = node.output[0]
                        onnx.external_data_helper.load_external_data_for_tensor(attribute.t, self.folder) \
                            if onnx.external_data_helper.uses_external_data(attribute.t) else None
                        tensors.append(attribute.t)
            return {t.name: attempt(lambda: self.described(numpy_helper.to_array(t))) for t in tensors}

        return path, [attempt(load)]

    @staticmethod
    def described(array):
        return described(array)


class Gguf(Cases):
    def case(self):
        import gguf

        r = self.r
        path = self.path('case.gguf')
        writer = gguf.GGUFWriter(path, 'llama')
        if self.odd(0.3):
            writer.add_custom_alignment(r.choice([8, 16, 32, 64, 128]))
        writer.add_string('general.name', 'x' * r.randint(0, 20))
        kinds = [None, None, 'F16', 'Q8_0', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'BF16']
        for k in range(r.randint(1, 3)):
            array = self.floats(r.randint(1, 4), 32 * r.randint(1, 2))
            kind = r.choice(kinds)
            if kind is None:
                writer.add_tensor('blk.%d.w' % k, array)
            else:
                t = gguf.GGMLQuantizationType[kind]
                writer.add_tensor('blk.%d.w' % k, gguf.quants.quantize(array, t), raw_dtype=t)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        if self.odd(0.5):
            data = bytearray(open(path, 'rb').read())
            for _ in range(r.choice([1, 1, 2])):
                at = r.randrange(8, min(len(data), 400))
                data[at] = r.choice([0, 1, 2, 8, 32, data[at] ^ 1, r.randint(0, 255)])
            self.write('case.gguf', data)

        # What stands in a NaN beside its being one is lost where it is widened.
        def one_nan(array):
            return np.where(np.isnan(array), np.float32('nan'), array) if array.dtype == np.float32 else array

        def load():
            reader = gguf.GGUFReader(path)
            return {t.name: attempt(lambda: described(one_nan(gguf.quants.dequantize(t.data, t.tensor_type)))) for t in reader.tensors}

        return path, [attempt(load)]


class Safetensors(Cases):
    def case(self):
        from safetensors.numpy import load_file

        r = self.r
        at, items = 0, []
        for k in range(r.randint(1, 4)):
            kind, width = r.choice([('F32', 4), ('F32', 4), ('F16', 2), ('F64', 8), ('I32', 4), ('U8', 1), ('BOOL', 1)])
            shape = [r.randint(0 if self.odd(0.1) else 1, 4) for _ in range(r.choice([1, 2, 2, 3, 0]))]
            size = width * int(np.prod(shape))
            begin, end = at, at + size
            if self.odd(0.05):
                begin, end = r.choice([(0, size), (at + 4, at + 4 + size), (at, at + size + 4), (end, begin), (at - 1, end)])
            offsets = '[%d,%d]' % (begin, end) if self.odd(0.97) else r.choice(['[%d.0,%d]', '[%d,%de0]', '["%d",%d]', '[%d,%d,0]']) % (begin, end)
            info = ['"dtype":"%s"' % kind, '"shape":%s' % json.dumps(shape), '"data_offsets":' + offsets]
            if self.odd(0.2):
                r.shuffle(info)
            if self.odd(0.05):
                info.append(r.choice(['"dtype":"F16"', '"x":1', '"shape":[1]', '"data_offsets":[0,4]']))
            title = r.choice(['a', 'b', 'c.w', 'a\\u0062', '\\ud83d\\ude00', 'ab', '__metadata__', '', ' '])
            items.append('"%s":{%s}' % (title, ','.join(info)))
            at += size
        if self.odd(0.2):
            items.insert(r.randint(0, len(items)), '"__metadata__":%s' % r.choice(['{}', '{"a":"b"}', '{"a":1}', 'null', '[]']))
        if self.odd(0.3):
            r.shuffle(items)
        text = '{' + ','.join(items) + '}'
        if self.odd(0.1):
            text = r.choice([' ', '\n', '\ufeff']) + text
        raw = text.encode() + b' ' * r.choice([0, 0, 3, 8]) + (b'\0' * 3 if self.odd(0.03) else b'')
        data = self.numbers.bytes(max(0, at + (0 if self.odd(0.95) else r.choice([-1, 1, 8]))))
        if 'BOOL' in text:
            data = bytes(b & 1 for b in data)
        path = self.write('case.safetensors', struct.pack('<Q', len(raw)) + raw + data)
        return path, [attempt(lambda: {name: described(array) for name, array in load_file(path).items()})]


CONTAINERS = {
    'torch': (Torch, 'torch'),
    'numpy': (Numpy, 'numpy'),
    'hdf5': (Hdf5, 'h5py'),
    'onnx': (Onnx, 'onnx'),
    'gguf': (Gguf, 'gguf'),
    'safetensors': (Safetensors, 'safetensors'),
}


MOST_MEMORY = 6 * 2**30
MOST_SECONDS = 5


def too_long(*_):
    raise TimeoutError


def main(container, count, seed, folder):
    cases, module = CONTAINERS[container]
    # A count that a case makes up may ask a framework for any memory, and for hours: it refuses the file then.
    if container != 'torch':
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    signal.signal(signal.SIGALRM, too_long)
    version = getattr(__import__(module), '__version__', '')
    print(json.dumps({'container': container, 'version': version}), flush=True)
    for i in range(int(count)):
        # A case by its own seed can be made again alone.
        made = cases(int(seed) * 10_000_000 + i, folder)
        signal.alarm(MOST_SECONDS)
        path, loaded = made.case()
        signal.alarm(0)
        print(json.dumps({'case': i, 'file': path, 'loaded': loaded}), flush=True)
        if sys.stdin.readline() == '':
            return


if __name__ == '__main__':
    main(*sys.argv[1:])
