// An SMSC for the tests, made of npm's smpp: it obeys lines of JSON and tells what happens in lines of JSON.
//
//   node smsc.js '{"password": "secret", "port": 0, "ids": "hex", "receipts": true, "tls": "file.pem"}'
'use strict';
const fs = require('fs');
const readline = require('readline');
const smpp = require('smpp');

const options = JSON.parse(process.argv[2] || '{}');
const say = (event, fields) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
const rules = { throttle: 0, refuse: [] };
const bound = new Set();
let ids = 0xab00; // a letter in hex, and other digits in decimal

function receipt(session, pdu, number) {
  const id = options.ids === 'hex' ? String(number) : number.toString(16).toUpperCase().padStart(10, '0');
  const text = `id:${id} sub:001 dlvrd:001 submit date:2611250900 done date:2611250901 stat:DELIVRD err:000 text:`;
  session.deliver_sm({
    source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4, short_message: text,
  }, (answer) => say('receipt_answered', { status: answer.command_status }));
}

function submit(session, pdu) {
  const fields = {
    to: pdu.destination_addr, from: pdu.source_addr, coding: pdu.data_coding, receipt: pdu.registered_delivery,
    udh: (pdu.short_message.udh || []).map((element) => element.toString('hex')), text: pdu.short_message.message,
  };
  if (rules.throttle > 0) {
    rules.throttle -= 1;
    session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    return say('throttled', fields);
  }
  if (rules.refuse.includes(pdu.destination_addr)) {
    session.send(pdu.response({ command_status: smpp.ESME_RINVDSTADR }));
    return say('refused', fields);
  }
  const number = ++ids;
  const id = options.ids === 'hex' ? '0000' + number.toString(16).toUpperCase() : String(number);
  session.send(pdu.response({ message_id: id }));
  if (options.receipts && pdu.registered_delivery & 1) receipt(session, pdu, number);
  say('submit', fields);
}

function serve(session) {
  session.on('error', () => session.destroy());
  session.on('close', () => bound.delete(session));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { say('unbind', {}); session.send(pdu.response()); session.close(); });
  session.on('submit_sm', (pdu) => submit(session, pdu));
  for (const kind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(kind, (pdu) => {
      const good = pdu.password === options.password;
      session.send(pdu.response({ command_status: good ? 0 : smpp.ESME_RINVPASWD, system_id: 'smsc' }));
      if (good) bound.add(session);
      say(good ? 'bound' : 'not_bound', { kind, user: pdu.system_id });
    });
  }
}

const orders = {
  rules: (order) => { Object.assign(rules, order.rules); say('ruled', {}); },
  // Texts are sent all at once, as an SMSC with a window does.
  deliver: (order) => order.texts.forEach((text, place) => bound.forEach((session) => {
    const message = text.udh ? { udh: Buffer.from(text.udh, 'hex'), message: text.text } : text.text;
    const pdu = { source_addr: text.from, destination_addr: '95588', data_coding: 8, short_message: message };
    if (text.udh) pdu.esm_class = 0x40;
    session.deliver_sm(pdu, (answer) => say('answered', { place, status: answer.command_status }));
  })),
};

const tls = options.tls ? { key: fs.readFileSync(options.tls), cert: fs.readFileSync(options.tls) } : {};
const server = smpp.createServer(tls, serve);
server.listen(options.port || 0, '127.0.0.1', () => say('listening', { port: server.address().port }));
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => { const order = JSON.parse(line); orders[order.do](order); });
lines.on('close', () => process.exit(0));
