//! What operators ask and set: creates a topic, looks at its queues and groups, finds a message by its key.
//!
//! `cargo run -p client --example admin [NAMESRV] [TOPIC]`, by default `127.0.0.1:9876 AdminTest`.

use std::error::Error;

use client::protocol::route::TopicConfig;
use client::{Admin, Message, Producer, TimeRange};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut args = std::env::args().skip(1);
    let namesrv = args.next().unwrap_or_else(|| "127.0.0.1:9876".to_owned());
    let topic = args.next().unwrap_or_else(|| "AdminTest".to_owned());

    let admin = Admin::start(namesrv.as_str()).await?;
    let clusters = admin.cluster_info().await?.cluster_addr_table;
    let (cluster, groups) = clusters.iter().next().ok_or("no broker has registered")?;
    println!("cluster {cluster} of {}", groups.join(", "));
    for (group, broker_id, addr) in admin.nodes_of_cluster(cluster).await? {
        println!("  {group} {broker_id} at {addr}");
    }

    let config = TopicConfig {
        topic_name: topic.clone(),
        read_queue_nums: 6,
        write_queue_nums: 6,
        ..TopicConfig::default()
    };
    admin.create_topic(cluster, &config).await?;

    let producer = Producer::builder("example_admin_producers", namesrv.as_str()).start().await?;
    let sent = producer.send(Message::new(&topic, "look for me").with_keys(["invoice-4711"])).await?;
    producer.shutdown().await;
    for (queue, ends) in admin.topic_stats(&topic).await?.offset_table {
        println!("  {}/{}: {} to {}", queue.broker_name, queue.queue_id, ends.min_offset, ends.max_offset);
    }
    let found = admin.messages_by_key(&topic, "invoice-4711", 32, TimeRange::ALL).await?;
    println!("{} messages have the key, one of them is {}", found.len(), sent.msg_id);
    let message = admin.message_by_offset_id(&sent.offset_msg_id).await?;
    println!("it was stored at {} ms and says {:?}", message.store_timestamp_ms, message.body);
    admin.shutdown().await;
    Ok(())
}
