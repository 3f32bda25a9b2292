'use strict';

// The conformance program of the Node client. Command line and output lines are described in conformance/README.md.

const httpclient = require('urllib');
const { Consumer, Message, Producer } = require('ali-ons');

const PROPERTY = 'city';
const PROPERTY_VALUE = '上海';
const RETRY_PAUSE_MS = 100;

function say(...words) {
  process.stdout.write(words.join(' ').replace(/\s+/g, ' ') + '\n');
}

function pause(ms) {
  return new Promise(resolve => setTimeout(resolve, ms));
}

function bodyOf(number) {
  return `第 ${number} 号消息：你好，世界 🚣`;
}

function tagOf(number) {
  return number % 2 === 0 ? 'TagA' : 'TagB';
}

function messageOf(topic, number) {
  const message = new Message(topic, tagOf(number), bodyOf(number));
  message.keys = [ `key-${number}` ];
  message.properties[PROPERTY] = PROPERTY_VALUE;
  return message;
}

/** Prints what arrived: RECV, and BAD beside it when the content is not what was sent. */
function report(message) {
  const key = String(message.keys);
  const number = /^key-\d+$/.test(key) ? Number(key.slice('key-'.length)) : -1;
  const body = message.body.toString();
  say('RECV', number, message.tags, key, message.queueId, message.queueOffset);
  if (body !== bodyOf(number)) {
    say('BAD', number, 'body', body);
  } else if (message.tags !== tagOf(number)) {
    say('BAD', number, 'tag', message.tags);
  } else if (message.properties[PROPERTY] !== PROPERTY_VALUE) {
    say('BAD', number, 'property', message.properties[PROPERTY]);
  }
}

/** Comes true when the runner says STOP or has gone away. */
function stopped() {
  return new Promise(resolve => {
    let heard = '';
    process.stdin.on('data', piece => {
      heard += piece;
      if (heard.includes('STOP\n')) {
        resolve();
      }
    });
    process.stdin.on('end', resolve);
  });
}

async function send(options) {
  const producer = new Producer({
    httpclient,
    nameSrv: options.namesrv,
    producerGroup: options.group,
    pollNameServerInteval: Number(options['poll-ms']), // the client's own spelling
  });
  producer.on('error', error => console.error(error));
  await producer.ready();
  say('READY');
  const giveUpAt = Date.now() + 1000 * options['give-up-s'];
  for (let i = 0; i < options.sync; i++) {
    await sendUntilAcked(producer, options.topic, Number(options.first) + i, giveUpAt);
    await pause(options['interval-ms']);
  }
  await producer.close();
}

async function sendUntilAcked(producer, topic, number, giveUpAt) {
  for (;;) {
    try {
      const result = await producer.send(messageOf(topic, number));
      if (result.sendStatus === 'SEND_OK') {
        say('ACK', number, result.msgId, result.messageQueue.queueId, result.queueOffset);
        return;
      }
      say('FAIL', number, result.sendStatus);
    } catch (error) {
      say('FAIL', number, error.message);
    }
    if (Date.now() > giveUpAt) {
      return;
    }
    await pause(RETRY_PAUSE_MS);
  }
}

async function push(options) {
  const consumer = new Consumer({
    httpclient,
    nameSrv: options.namesrv,
    consumerGroup: options.group,
    consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
    pollNameServerInteval: Number(options['poll-ms']),
  });
  consumer.on('error', error => console.error(error));
  consumer.subscribe(options.topic, options.tag, async message => report(message));
  await consumer.ready();
  say('READY');
  await stopped();
  await consumer.close();
}

function parse(words) {
  const options = { tag: '*', 'poll-ms': 3000, first: 0, sync: 0, 'interval-ms': 0, 'give-up-s': 60 };
  for (let i = 0; i + 1 < words.length; i += 2) {
    options[words[i].replace(/^--/, '')] = words[i + 1];
  }
  return options;
}

async function main() {
  const roles = { send, push };
  const role = roles[process.argv[2]];
  const options = parse(process.argv.slice(3));
  if (!role || !options.namesrv || !options.topic || !options.group) {
    console.error('usage: client.js send|push --namesrv A --topic T --group G …');
    process.exit(2);
  }
  await role(options);
  say('DONE');
  // The library leaves timers behind after close().
  process.exit(0);
}

main().catch(error => {
  console.error(error);
  process.exit(1);
});
