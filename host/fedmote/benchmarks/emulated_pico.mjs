// Runs one program, given on standard input, in the raw REPL of an official image on an RP2040 that rp2040js emulates.
//
//   node emulated_pico.mjs FOLDER_OF_NODE_MODULES BOOT_ROM IMAGE.uf2 [FILE OFFSET_IN_FLASH]... < program.py
//
// The files, such as the image of a file system, stand in the flash before it starts. It cannot be written. Standard
// output and error are the program's. The exit status is 1 where it raised.
import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const FLASH = 0x10000000;
const END = 4; // Ctrl-D, after the program, its output and its traceback
const [folder, bootRom, image, ...placed] = process.argv.slice(2);
const rp2040js = pathToFileURL(join(folder, 'node_modules/rp2040js/dist/esm/index.js'));
const { Simulator, USBCDC } = await import(rp2040js);

const simulator = new Simulator();
const chip = simulator.rp2040;
const silent = () => {};
chip.logger = { debug: silent, info: silent, warn: silent, error: silent };
chip.loadBootrom(new Uint32Array(new Uint8Array(readFileSync(bootRom)).buffer));
const blocks = readFileSync(image);
for (let at = 0; at < blocks.length; at += 512) {
  const address = blocks.readUInt32LE(at + 12);
  const size = blocks.readUInt32LE(at + 16);
  chip.flash.set(blocks.subarray(at + 32, at + 32 + size), address - FLASH);
}
for (let n = 0; n < placed.length; n += 2) chip.flash.set(readFileSync(placed[n]), Number(placed[n + 1]));

const serial = new USBCDC(chip.usbCtrl);
const program = readFileSync(0);
const unsent = [];
const said = { output: [], traceback: [] };
const stages = {
  prompt: { ends: 'raw REPL; CTRL-B to exit\r\n>', next: 'accepted', then: () => unsent.push(...program, END) },
  accepted: { ends: 'OK', next: 'output', then: silent },
};
let stage = 'prompt';
let seen = '';
serial.onDeviceConnected = () => unsent.push(...Buffer.from('\r\x03\x03\x01')); // interrupt, raw REPL
serial.onSerialData = (bytes) => {
  for (const byte of bytes) {
    const awaited = stages[stage];
    if (awaited) {
      seen += String.fromCharCode(byte);
      if (seen.endsWith(awaited.ends)) {
        awaited.then();
        stage = awaited.next;
        seen = '';
      }
    } else if (byte !== END) said[stage].push(byte);
    else if (stage === 'output') stage = 'traceback';
    else {
      writeSync(1, Buffer.from(said.output));
      writeSync(2, Buffer.from(said.traceback));
      process.exit(said.traceback.length ? 1 : 0);
    }
  }
};
setInterval(() => {
  while (unsent.length && serial.txFIFO.itemCount < 256) serial.sendSerialByte(unsent.shift());
}, 1);
chip.core.PC = FLASH;
simulator.execute();
